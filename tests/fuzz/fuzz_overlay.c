/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_overlay - the blocks of a drive from an enemy who knows how to make a CRC: those of header and
 * table are set right before the file is loaded, and so are those of the blocks. What is accepted lies on
 * the drive, and is written as it was read.
 *
 * The corpus began as one file of a few blocks; the rest is what the fuzzer found from there.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "snapshot/digest.h"
#include "snapshot/overlay_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define SIZE (64u * BLOCKS_SIZE - 512)

static void seal_blocks(uint8_t *buf, size_t len, struct overlay_file_entry *table, uint64_t n)
{
	uint64_t off = ALIGN_UP(sizeof(struct overlay_file_header) + n * sizeof(*table),
				(uint64_t)BLOCKS_SIZE);

	for (uint64_t i = 0; i < n && off + BLOCKS_SIZE <= len; i++) {
		if (table[i].flags)
			continue;
		table[i].crc32c = digest_crc32c(0, buf + off, BLOCKS_SIZE);
		off += BLOCKS_SIZE;
	}
}

static void seal(uint8_t *buf, size_t len)
{
	struct overlay_file_header *h = (void *)buf;
	struct overlay_file_entry *table = (void *)(h + 1);

	if (len < sizeof(*h))
		return;
	if (h->nblocks <= (len - sizeof(*h)) / sizeof(*table)) {
		seal_blocks(buf, len, table, h->nblocks);
		h->table_crc32c = digest_crc32c(0, table, h->nblocks * sizeof(*table));
	}
	h->crc32c = overlay_file_header_crc(h);
}

static int file_of(const void *buf, size_t len)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	assert(fd >= 0 && write(fd, buf, len) == (ssize_t)len);
	return fd;
}

/* The same blocks again, by way of an overlay that has nothing of its own. */
static void write_again(const struct blocks *frozen)
{
	struct overlay o;
	struct blocks again;
	int fd = file_of("", 0), memfd = -1, ret;
	uint64_t size;

	ret = overlay_init(&o, -1, SIZE, frozen, 0, NULL);
	assert(ret == 0);
	ret = overlay_file_write(fd, 0, &o, &size, NULL);
	assert(ret == 0);
	ret = overlay_file_load(fd, SIZE, NULL, &again, &memfd, NULL);
	assert(ret == 0);
	for (uint64_t i = 0; i < frozen->nblocks; i++) {
		assert(blocks_have(frozen, i) == blocks_have(&again, i));
		assert(memcmp(frozen->data + i * BLOCKS_SIZE, again.data + i * BLOCKS_SIZE,
			      BLOCKS_SIZE) == 0);
	}
	blocks_close(&again);
	overlay_fini(&o);
	close(memfd);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *buf = malloc(len + 1);
	struct blocks frozen;
	int fd, memfd = -1;

	assert(buf);
	if (len > 0)
		memcpy(buf, data, len);
	seal(buf, len);
	fd = file_of(buf, len);
	if (overlay_file_load(fd, SIZE, NULL, &frozen, &memfd, NULL) == 0) {
		write_again(&frozen);
		blocks_close(&frozen);
		close(memfd);
	}
	close(fd);
	free(buf);
	return 0;
}
