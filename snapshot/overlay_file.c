/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/overlay_file.h"

#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/io.h"

uint32_t overlay_file_header_crc(const struct overlay_file_header *h)
{
	struct overlay_file_header copy = *h;

	copy.crc32c = 0;
	return digest_crc32c(0, &copy, sizeof(copy));
}

/* A table may be longer than one CRC can be told of. */
static uint32_t table_crc(const struct overlay_file_entry *table, uint64_t n)
{
	uint64_t len = n * sizeof(*table), part;
	const uint8_t *at = (const uint8_t *)table;
	uint32_t crc = 0;

	for (; len > 0; at += part, len -= part) {
		part = MIN(len, 1ull << 30);
		crc = digest_crc32c(crc, at, part);
	}
	return crc;
}

static uint64_t data_offset(uint64_t nblocks)
{
	uint64_t table_end = sizeof(struct overlay_file_header) +
			     nblocks * sizeof(struct overlay_file_entry);

	return ALIGN_UP(table_end, (uint64_t)BLOCKS_SIZE);
}

static void *make_table(uint64_t n, struct err *err)
{
	void *table = malloc(n * sizeof(struct overlay_file_entry) + 1);

	if (!table)
		err_set(err, ENOMEM, "no memory for a table of %" PRIu64 " blocks", n);
	return table;
}

/* ---- writing ---- */

static uint64_t count(const struct overlay *o)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < o->own.nblocks; i++)
		n += overlay_block(o, i) != NULL;
	return n;
}

/* Blocks and their entries; the last one of the drive is whole: memory is, behind its end. */
static int write_blocks(int fd, uint64_t *off, const struct overlay *o,
			struct overlay_file_entry *table, struct err *err)
{
	int ret = 0;

	for (uint64_t i = 0; i < o->own.nblocks && ret == 0; i++) {
		const uint8_t *bytes = overlay_block(o, i);

		if (!bytes)
			continue;
		*table = (struct overlay_file_entry){ .block = i, .flags = OVERLAY_FILE_ZERO };
		if (!io_is_zero(bytes, BLOCKS_SIZE)) {
			table->flags = 0;
			table->crc32c = digest_crc32c(0, bytes, BLOCKS_SIZE);
			ret = io_write(fd, bytes, BLOCKS_SIZE, *off, err);
			*off += BLOCKS_SIZE;
		}
		table++;
	}
	return ret;
}

/* The header and the table go last: without them it is no such file. */
static int write_table(int fd, uint64_t at, struct overlay_file_header *h,
		       struct overlay_file_entry *table, struct err *err)
{
	int ret = io_write(fd, table, h->nblocks * sizeof(*table), at + sizeof(*h), err);

	memcpy(h->magic, OVERLAY_FILE_MAGIC, sizeof(h->magic));
	h->table_crc32c = table_crc(table, h->nblocks);
	h->crc32c = overlay_file_header_crc(h);
	return ret < 0 ? ret : io_write(fd, h, sizeof(*h), at, err);
}

uint64_t overlay_file_max(uint64_t drive_size)
{
	uint64_t size = ALIGN_UP(drive_size, (uint64_t)BLOCKS_SIZE);

	return data_offset(size / BLOCKS_SIZE) + size;
}

int overlay_file_write(int fd, uint64_t at, const struct overlay *o, uint64_t *size,
		       struct err *err)
{
	struct overlay_file_header h = { .version = OVERLAY_FILE_VERSION,
					 .block_size = BLOCKS_SIZE,
					 .drive_size = o->own.size,
					 .nblocks = count(o) };
	struct overlay_file_entry *table = make_table(h.nblocks, err);
	uint64_t data = at + data_offset(h.nblocks), end = data;
	int ret;

	if (!table)
		return -ENOMEM;
	ret = write_blocks(fd, &end, o, table, err);
	if (ret == 0)
		ret = write_table(fd, at, &h, table, err);
	*size = end > data ? end - at : sizeof(h) + h.nblocks * sizeof(*table);
	free(table);
	return ret;
}

/* ---- reading ---- */

struct source {
	int fd;
	uint64_t off;		  /* of what comes next */
	struct digest_stream sum; /* of what came; .ctx NULL: nobody asks */
};

static int take(struct source *s, void *to, size_t len, struct err *err)
{
	int ret = io_read(s->fd, to, len, s->off, err);

	s->off += len;
	return ret < 0 || !s->sum.ctx ? ret : digest_add(&s->sum, to, len, err);
}

static int read_header(struct source *s, struct overlay_file_header *h, uint64_t drive_size,
		       struct err *err)
{
	static const uint8_t none[sizeof(h->reserved)];
	int ret = take(s, h, sizeof(*h), err);

	if (ret < 0)
		return ret;
	if (memcmp(h->magic, OVERLAY_FILE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, ERR_DAMAGED, "are not blocks of a drive");
	if (h->crc32c != overlay_file_header_crc(h))
		return err_set(err, ERR_DAMAGED, "header: wrong crc32c");
	if (h->version != OVERLAY_FILE_VERSION || h->block_size != BLOCKS_SIZE ||
	    memcmp(h->reserved, none, sizeof(none)) != 0)
		return err_set(err, ERR_UNFIT,
			       "version %u with blocks of %u bytes, expected %u and %u",
			       h->version, h->block_size, OVERLAY_FILE_VERSION, BLOCKS_SIZE);
	if (h->drive_size != drive_size)
		return err_set(err, ERR_UNFIT,
			       "of a drive of %" PRIu64 " bytes, this one has %" PRIu64,
			       h->drive_size, drive_size);
	if (h->nblocks > drive_size / BLOCKS_SIZE + (drive_size % BLOCKS_SIZE != 0))
		return err_set(err, ERR_DAMAGED, "%" PRIu64 " blocks, the drive has fewer",
			       h->nblocks);
	return 0;
}

/* Does the file end where its table says? Also bounds what is allocated for the table. */
static int check_size(int fd, uint64_t expected, bool exactly, struct err *err)
{
	uint64_t size = 0;
	int ret = io_file_size(fd, &size, err);

	if (ret < 0)
		return ret;
	if (size < expected || (exactly && size != expected))
		return err_set(err, ERR_DAMAGED, "has %" PRIu64 " bytes, expected %s%" PRIu64,
			       size, exactly ? "" : "at least ", expected);
	return 0;
}

static int check_table(const struct overlay_file_header *h,
		       const struct overlay_file_entry *table, uint64_t *nstored,
		       struct err *err)
{
	uint64_t next = 0, end = ALIGN_UP(h->drive_size, (uint64_t)BLOCKS_SIZE) / BLOCKS_SIZE;

	if (table_crc(table, h->nblocks) != h->table_crc32c)
		return err_set(err, ERR_DAMAGED, "table: wrong crc32c");
	for (uint64_t i = 0; i < h->nblocks; i++) {
		const struct overlay_file_entry *e = &table[i];

		if (e->block < next || e->block >= end)
			return err_set(err, ERR_DAMAGED,
				       "table: block %" PRIu64 ", expected %" PRIu64
				       " to %" PRIu64,
				       e->block, next, end - 1);
		if (e->flags & ~(uint32_t)OVERLAY_FILE_ZERO || (e->flags && e->crc32c))
			return err_set(err, ERR_DAMAGED,
				       "table: block %" PRIu64 " has flags 0x%x", e->block,
				       e->flags);
		*nstored += e->flags == 0;
		next = e->block + 1;
	}
	return 0;
}

/* With what lies between it and the blocks. */
static int read_table(struct source *s, const struct overlay_file_header *h,
		      struct overlay_file_entry **table, struct err *err)
{
	uint64_t len = h->nblocks * sizeof(**table), nstored = 0;
	uint8_t gap[BLOCKS_SIZE];
	int ret = check_size(s->fd, sizeof(*h) + len, false, err);

	if (ret < 0)
		return ret;
	*table = make_table(h->nblocks, err);
	if (!*table)
		return -ENOMEM;
	ret = take(s, *table, len, err);
	if (ret == 0)
		ret = check_table(h, *table, &nstored, err);
	if (ret < 0)
		return ret;
	if (nstored == 0)
		return check_size(s->fd, s->off, true, err);
	ret = check_size(s->fd, data_offset(h->nblocks) + nstored * BLOCKS_SIZE, true, err);
	return ret < 0 ? ret : take(s, gap, data_offset(h->nblocks) - s->off, err);
}

static int read_blocks(struct source *s, const struct overlay_file_header *h,
		       const struct overlay_file_entry *table, struct blocks *to,
		       struct err *err)
{
	int ret;

	for (uint64_t i = 0; i < h->nblocks; i++) {
		const struct overlay_file_entry *e = &table[i];
		uint8_t *at = to->data + e->block * BLOCKS_SIZE;

		pages_set(to->has, e->block);
		if (e->flags & OVERLAY_FILE_ZERO)
			continue;
		ret = take(s, at, BLOCKS_SIZE, err);
		if (ret < 0)
			return ret;
		if (digest_crc32c(0, at, BLOCKS_SIZE) != e->crc32c)
			return err_set(err, ERR_DAMAGED, "block %" PRIu64 ": wrong crc32c",
				       e->block);
	}
	return 0;
}

static int check_digest(struct source *s, const struct digest *sha256, struct err *err)
{
	struct digest is;
	int ret = sha256 ? digest_end(&s->sum, &is, err) : 0;

	return ret < 0 || !sha256 ? ret : digest_check(&is, sha256, err);
}

static int load(struct source *s, uint64_t drive_size, const struct digest *sha256,
		struct blocks *frozen, int *memfd, struct err *err)
{
	auto_free struct overlay_file_entry *table = NULL;
	auto_close int made = -1;
	struct overlay_file_header h;
	int ret = read_header(s, &h, drive_size, err);

	if (ret == 0)
		ret = read_table(s, &h, &table, err);
	if (ret == 0)
		ret = blocks_create_shared(frozen, drive_size, &made, err);
	if (ret == 0)
		ret = read_blocks(s, &h, table, frozen, err);
	if (ret == 0)
		ret = check_digest(s, sha256, err);
	if (ret == 0)
		ret = blocks_freeze(frozen, made, err);
	if (ret == 0)
		*memfd = fd_take(&made);
	return ret;
}

int overlay_file_load(int fd, uint64_t drive_size, const struct digest *sha256,
		      struct blocks *frozen, int *memfd, struct err *err)
{
	struct source s = { .fd = fd };
	int ret = sha256 ? digest_begin(&s.sum, err) : 0;

	*frozen = (struct blocks){ 0 };
	*memfd = -1;
	if (ret == 0)
		ret = load(&s, drive_size, sha256, frozen, memfd, err);
	digest_drop(&s.sum);
	if (ret < 0)
		blocks_close(frozen);
	return ret < 0 ? err_wrap(err, ret, "blocks of a drive") : 0;
}
