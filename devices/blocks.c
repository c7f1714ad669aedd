/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/fds.h"
#include "engine/mem.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static uint64_t data_size(const struct blocks *b)
{
	return b->nblocks * BLOCKS_SIZE;
}

static uint64_t total_size(const struct blocks *b)
{
	return data_size(b) + ALIGN_UP(pages_bitmap_size(b->nblocks), BLOCKS_SIZE);
}

/* Blocks of @size bytes, behind which their bitmap lies. */
static int map(struct blocks *b, int fd, int prot, struct err *err)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *p = mmap(NULL, total_size(b), prot, flags | MAP_NORESERVE, fd, 0);

	if (p == MAP_FAILED)
		return err_sys(err, "map the blocks of a drive of %" PRIu64 " bytes", b->size);
	b->data = p;
	b->has = (uint64_t *)(void *)(b->data + data_size(b));
	/* One block of 4 KiB must not cost 2 MiB. */
	mem_refuse_huge(p, total_size(b));
	return 0;
}

static struct blocks empty(uint64_t size)
{
	return (struct blocks){ .size = size,
				.nblocks = size / BLOCKS_SIZE + (size % BLOCKS_SIZE != 0) };
}

int blocks_create(struct blocks *b, uint64_t size, struct err *err)
{
	*b = empty(size);
	return map(b, -1, PROT_READ | PROT_WRITE, err);
}

int blocks_create_shared(struct blocks *b, uint64_t size, int *fd, struct err *err)
{
	auto_close int made = memfd_create("thaw-blocks", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int ret;

	*b = empty(size);
	if (made < 0)
		return err_sys(err, "memfd_create for a drive");
	if (ftruncate(made, (off_t)total_size(b)) < 0)
		return err_sys(err, "size a drive's blocks, %" PRIu64 " bytes", total_size(b));
	ret = map(b, made, PROT_READ | PROT_WRITE, err);
	if (ret == 0)
		*fd = fd_take(&made);
	return ret;
}

int blocks_freeze(struct blocks *b, int fd, struct err *err)
{
	uint64_t size = b->size;

	blocks_close(b);
	if (fds_seal(fd, SEALS | F_SEAL_SEAL) < 0)
		return err_sys(err, "seal a drive's blocks");
	return blocks_open(b, fd, size, err);
}

int blocks_open(struct blocks *b, int fd, uint64_t size, struct err *err)
{
	int seals = fcntl(fd, F_GET_SEALS);
	off_t end = lseek(fd, 0, SEEK_END);

	*b = empty(size);
	/* Else whoever holds it could cut it, and the machine would die of a fault. */
	if (seals < 0 || (seals & SEALS) != SEALS)
		return err_set(err, EINVAL, "a drive's frozen blocks are not sealed");
	if (end < 0 || (uint64_t)end != total_size(b))
		return err_set(err, EINVAL,
			       "a drive's frozen blocks have %" PRId64
			       " bytes, expected %" PRIu64,
			       (int64_t)end, total_size(b));
	return map(b, fd, PROT_READ, err);
}

void blocks_close(struct blocks *b)
{
	if (b->data)
		munmap(b->data, total_size(b));
	*b = (struct blocks){ 0 };
}
