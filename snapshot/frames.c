/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/frames.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/io.h"

uint32_t frames_header_crc(const struct frames_header *h)
{
	struct frames_header copy = *h;

	copy.crc32c = 0;
	return digest_crc32c(0, &copy, sizeof(copy));
}

int frames_table_digest(const struct frames_header *h, const struct frames_entry *table,
			struct digest *out, struct err *err)
{
	auto_digest struct digest_stream s = { 0 };
	int ret = digest_begin(&s, err);

	if (ret == 0)
		ret = digest_add(&s, h, sizeof(*h), err);
	if (ret == 0)
		ret = digest_add(&s, table, h->nframes * sizeof(*table), err);
	return ret < 0 ? ret : digest_end(&s, out, err);
}

static int check_header(const struct frames_header *h, uint64_t file_size, uint64_t ram_size,
			struct err *err)
{
	uint64_t room = (file_size - sizeof(*h)) / sizeof(struct frames_entry);

	if (memcmp(h->magic, FRAMES_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, ERR_DAMAGED, "offset 0: magic is not " FRAMES_MAGIC);
	if (h->crc32c != frames_header_crc(h))
		return err_set(err, ERR_DAMAGED,
			       "header at offset 0: crc32c is 0x%08x, expected 0x%08x",
			       frames_header_crc(h), h->crc32c);
	if (h->version != FRAMES_VERSION)
		return err_set(err, ERR_UNFIT, "format version %u, this thaw reads %u",
			       h->version, FRAMES_VERSION);
	if (h->page_size != MEM_PAGE_SIZE)
		return err_set(err, ERR_DAMAGED, "page size is %u, expected %u", h->page_size,
			       MEM_PAGE_SIZE);
	if (h->ram_size != ram_size)
		return err_set(err, ERR_DAMAGED,
			       "ram size is %" PRIu64 ", the machine has %" PRIu64, h->ram_size,
			       ram_size);
	if (h->nframes > MIN(room, ram_size / MEM_PAGE_SIZE))
		return err_set(err, ERR_DAMAGED,
			       "has %" PRIu64 " frames, largest possible here is %" PRIu64,
			       h->nframes, MIN(room, ram_size / MEM_PAGE_SIZE));
	if (h->table_offset != sizeof(*h) ||
	    h->data_offset != sizeof(*h) + h->nframes * sizeof(struct frames_entry))
		return err_set(err, ERR_DAMAGED,
			       "table at offset %" PRIu64 ", data at offset %" PRIu64
			       ": expected one after the other behind the header",
			       h->table_offset, h->data_offset);
	if (h->reserved != 0)
		return err_set(err, ERR_DAMAGED, "reserved field is %u, expected 0",
			       h->reserved);
	return 0;
}

static int read_header(struct frames *f, uint64_t ram_size, uint64_t *file_size,
		       struct err *err)
{
	int ret = io_file_size(f->fd, file_size, err);

	if (ret == 0)
		ret = io_read(f->fd, &f->header, sizeof(f->header), 0, err);
	return ret < 0 ? ret : check_header(&f->header, *file_size, ram_size, err);
}

/* A table that is not the one the manifest names is not looked at any further. */
static int read_table(struct frames *f, const struct digest *expected, struct err *err)
{
	size_t size = f->header.nframes * sizeof(*f->table);
	struct digest is;
	int ret;

	f->table = malloc(size ? size : 1);
	if (!f->table)
		return err_set(err, ENOMEM, "frame table of %zu bytes: out of memory", size);
	ret = io_read(f->fd, f->table, size, f->header.table_offset, err);
	if (ret < 0 || !expected)
		return ret;
	ret = frames_table_digest(&f->header, f->table, &is, err);
	if (ret == 0)
		ret = digest_check(&is, expected, err);
	return ret < 0 ? err_wrap(err, ret, "header and table") : 0;
}

/* @after: end of the frame before, so that frames rise and never overlap. */
static int check_place(const struct frames_entry *e, uint64_t i, const struct mem *ram,
		       gpa_t after, struct err *err)
{
	if (e->pages == 0 || e->pages > FRAMES_MAX_PAGES)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " has %u pages, expected 1..%u", i, e->pages,
			       FRAMES_MAX_PAGES);
	if (e->gpa % MEM_PAGE_SIZE != 0 ||
	    e->gpa % FRAMES_MAX_SIZE + frames_size(e) > FRAMES_MAX_SIZE)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at guest address 0x%" PRIx64
			       ": %u pages are not whole pages of one aligned 64 KiB",
			       i, e->gpa, e->pages);
	if (!mem_holds(ram, e->gpa, frames_size(e)))
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at guest address 0x%" PRIx64
			       ": %u pages are not in the machine's memory",
			       i, e->gpa, e->pages);
	if (e->gpa < after)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at guest address 0x%" PRIx64
			       ": expected at least 0x%" PRIx64 ", the end of the one before",
			       i, e->gpa, after);
	return 0;
}

static int check_stored(const struct frames *f, uint64_t i, uint64_t file_size, struct err *err)
{
	const struct frames_entry *e = &f->table[i];
	bool raw = e->flags == FRAMES_RAW;

	if (e->flags != 0 && !raw)
		return err_set(err, ERR_DAMAGED, "frame %" PRIu64 " has unknown flags 0x%x", i,
			       e->flags);
	if (raw ? e->stored != frames_size(e) : e->stored == 0 || e->stored >= frames_size(e))
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 ": %u bytes stored for %u pages, %s", i,
			       e->stored, e->pages, raw ? "not compressed" : "compressed");
	if (e->offset < f->header.data_offset || e->offset > file_size ||
	    e->stored > file_size - e->offset)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at offset %" PRIu64
			       ": its %u bytes are not in the file's data, %" PRIu64
			       "..%" PRIu64,
			       i, e->offset, e->stored, f->header.data_offset, file_size);
	return 0;
}

static int check_table(const struct frames *f, const struct mem *ram, uint64_t file_size,
		       struct err *err)
{
	uint64_t pages = 0, stored = 0;
	gpa_t after = 0;
	int ret;

	for (uint64_t i = 0; i < f->header.nframes; i++) {
		const struct frames_entry *e = &f->table[i];

		ret = check_place(e, i, ram, after, err);
		if (ret == 0)
			ret = check_stored(f, i, file_size, err);
		if (ret < 0)
			return ret;
		after = e->gpa + frames_size(e);
		pages += e->pages;
		stored += e->stored;
	}
	if (pages != f->header.npages)
		return err_set(err, ERR_DAMAGED,
			       "frames hold %" PRIu64 " pages, the header says %" PRIu64, pages,
			       f->header.npages);
	if (stored != file_size - f->header.data_offset)
		return err_set(err, ERR_DAMAGED,
			       "frames have %" PRIu64 " bytes, the file has %" PRIu64
			       " after the table",
			       stored, file_size - f->header.data_offset);
	return 0;
}

static int by_offset(const void *a, const void *b, void *arg)
{
	const struct frames_entry *table = arg;
	uint64_t x = table[*(const uint64_t *)a].offset;
	uint64_t y = table[*(const uint64_t *)b].offset;

	return x < y ? -1 : x > y;
}

static int find_order(struct frames *f, struct err *err)
{
	uint64_t n = f->header.nframes;
	bool rising = true;

	f->order = malloc(MAX(n, 1) * sizeof(*f->order));
	if (!f->order)
		return err_set(err, ENOMEM, "order of %" PRIu64 " frames: out of memory", n);
	for (uint64_t i = 0; i < n; i++) {
		f->order[i] = i;
		rising = rising && (i == 0 || f->table[i].offset > f->table[i - 1].offset);
	}
	if (!rising)
		qsort_r(f->order, n, sizeof(*f->order), by_offset, f->table);
	return 0;
}

int frames_open(struct frames *f, int fd, const struct mem *ram, const struct digest *expected,
		struct err *err)
{
	uint64_t file_size;
	int ret;

	*f = (struct frames){ .fd = fd, .direct_fd = -1 };
	/* Who reads many frames asks for large pieces. What the kernel would read ahead, of the
	 * table and of frames that are waited for one by one, is megabytes on some disks. */
	posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
	ret = read_header(f, mem_size(ram), &file_size, err);
	if (ret == 0)
		ret = read_table(f, expected, err);
	if (ret == 0)
		ret = check_table(f, ram, file_size, err);
	if (ret == 0)
		ret = find_order(f, err);
	if (ret < 0)
		frames_close(f);
	return ret;
}

void frames_close(struct frames *f)
{
	free(f->table);
	free(f->order);
	*f = (struct frames){ .fd = -1, .direct_fd = -1 };
}

uint64_t frames_find(const struct frames *f, gpa_t gpa)
{
	uint64_t low = 0, high = f->header.nframes;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (f->table[mid].gpa + frames_size(&f->table[mid]) <= gpa)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}
