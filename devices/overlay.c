/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/overlay.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"

#define SMALL (64u << 10) /* bytes that are set to zero rather than given back; ours */

int overlay_init(struct overlay *o, int base_fd, uint64_t size, const struct blocks *frozen,
		 uint64_t limit, struct err *err)
{
	int ret;

	*o = (struct overlay){ .frozen = frozen, .base_fd = base_fd };
	if (frozen && frozen->size != size)
		return err_set(err, EINVAL,
			       "frozen blocks are of a drive of %llu bytes, this one has %llu",
			       (unsigned long long)frozen->size, (unsigned long long)size);
	ret = blocks_create(&o->own, size, err);
	o->low = o->own.nblocks;
	o->limit = limit ? limit : o->own.nblocks;
	return ret;
}

void overlay_fini(struct overlay *o)
{
	blocks_close(&o->own);
	*o = (struct overlay){ .base_fd = -1 };
}

/* Whose block it is. */
static const struct blocks *holder(const struct overlay *o, uint64_t block)
{
	if (blocks_have(&o->own, block))
		return &o->own;
	return o->frozen && blocks_have(o->frozen, block) ? o->frozen : NULL;
}

const uint8_t *overlay_block(const struct overlay *o, uint64_t block)
{
	const struct blocks *b = holder(o, block);

	return b ? b->data + block * BLOCKS_SIZE : NULL;
}

uint64_t overlay_find(const struct overlay *o, uint64_t off, uint64_t len, const uint8_t **at)
{
	const struct blocks *who = holder(o, off / BLOCKS_SIZE);
	uint64_t end = off / BLOCKS_SIZE * BLOCKS_SIZE + BLOCKS_SIZE;

	while (end < off + len && holder(o, end / BLOCKS_SIZE) == who)
		end += BLOCKS_SIZE;
	*at = who ? who->data + off : NULL;
	return MIN(end - off, len);
}

/* Copy what lies below into a block that is not the machine's own yet. */
static int fill(struct overlay *o, uint64_t block)
{
	uint8_t *to = o->own.data + block * BLOCKS_SIZE;
	uint32_t len = blocks_len(&o->own, block), done = 0;
	const uint8_t *below = overlay_block(o, block);

	if (below) {
		memcpy(to, below, len);
		return 0;
	}
	while (done < len) {
		ssize_t n = pread(o->base_fd, to + done, len - done,
				  (off_t)(block * BLOCKS_SIZE + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (uint32_t)n;
	}
	return 0;
}

/* A block of which [off, end) covers only a part. */
static int fill_partial(struct overlay *o, uint64_t block, uint64_t off, uint64_t end)
{
	uint64_t start = block * BLOCKS_SIZE;

	if (blocks_have(&o->own, block) ||
	    (off <= start && end >= start + blocks_len(&o->own, block)))
		return 0;
	return fill(o, block);
}

int overlay_claim(struct overlay *o, uint64_t off, uint64_t len, uint8_t **at)
{
	uint64_t first = off / BLOCKS_SIZE, end = (off + len - 1) / BLOCKS_SIZE + 1;
	uint64_t missing = 0;
	int ret;

	for (uint64_t i = first; i < end; i++)
		missing += !blocks_have(&o->own, i);
	if (missing > o->limit - o->count)
		return -ENOSPC;
	ret = fill_partial(o, first, off, off + len);
	if (ret == 0)
		ret = fill_partial(o, end - 1, off, off + len);
	if (ret < 0)
		return ret;
	for (uint64_t i = first; i < end; i++)
		pages_set(o->own.has, i);
	o->count += missing;
	o->low = MIN(o->low, first);
	o->end = MAX(o->end, end);
	*at = o->own.data + off;
	return 0;
}

/* Zeros in place of [p, p+len), and the memory of whole pages back. */
static void drop(uint8_t *p, uint64_t len)
{
	uint8_t *from = (uint8_t *)ALIGN_UP((uintptr_t)p, (uintptr_t)BLOCKS_SIZE);
	uint8_t *to = (uint8_t *)((uintptr_t)(p + len) / BLOCKS_SIZE * BLOCKS_SIZE);

	if (len <= SMALL || madvise(from, (size_t)(to - from), MADV_DONTNEED) < 0) {
		memset(p, 0, len);
		return;
	}
	memset(p, 0, (size_t)(from - p));
	memset(to, 0, (size_t)(p + len - to));
}

int overlay_zero(struct overlay *o, uint64_t off, uint64_t len)
{
	uint8_t *at;
	int ret = overlay_claim(o, off, len, &at);

	if (ret == 0)
		drop(at, len);
	return ret;
}

void overlay_discard(struct overlay *o, uint64_t off, uint64_t len)
{
	uint64_t from = MAX(ALIGN_UP(off, (uint64_t)BLOCKS_SIZE), o->low * BLOCKS_SIZE);
	uint64_t to = MIN((off + len) / BLOCKS_SIZE * BLOCKS_SIZE, o->end * BLOCKS_SIZE);

	if (from < to)
		madvise(o->own.data + from, to - from, MADV_DONTNEED);
}

void overlay_reset(struct overlay *o)
{
	uint64_t first = o->low / 64, end = (o->end + 63) / 64;

	if (o->count == 0)
		return;
	madvise(o->own.data + o->low * BLOCKS_SIZE, (o->end - o->low) * BLOCKS_SIZE,
		MADV_DONTNEED);
	drop((uint8_t *)(o->own.has + first), (end - first) * sizeof(*o->own.has));
	o->count = 0;
	o->low = o->own.nblocks;
	o->end = 0;
}
