/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/frames.h"

#include <errno.h>
#include <lz4.h>
#include <stdlib.h>

#include "engine/err.h"
#include "snapshot/io.h"

/* Which frames there will be: the table must be complete before the first data byte's place
 * in the file is known. */
struct plan {
	struct frames_entry *table;
	size_t n, cap;
	uint64_t npages;
	uint64_t end; /* of the file; set with the data */
};

static int plan_add(struct plan *p, gpa_t gpa, uint32_t pages, struct err *err)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 1024;
		struct frames_entry *table = realloc(p->table, cap * sizeof(*table));

		if (!table)
			return err_set(err, ENOMEM, "table of %zu frames: out of memory", cap);
		p->table = table;
		p->cap = cap;
	}
	p->table[p->n++] = (struct frames_entry){ .gpa = gpa, .pages = pages };
	p->npages += pages;
	return 0;
}

/* Bit i: page i of the 64 KiB at @p holds something. */
static uint32_t pages_in_use(const uint8_t *p)
{
	uint32_t mask = 0;

	for (uint32_t i = 0; i < FRAMES_MAX_PAGES; i++) {
		if (!io_is_zero(p + (size_t)i * MEM_PAGE_SIZE, MEM_PAGE_SIZE))
			mask |= 1u << i;
	}
	return mask;
}

static int plan_region(struct plan *p, const struct mem_region *r, struct err *err)
{
	int ret = 0;

	for (uint64_t off = 0; ret == 0 && off < r->size; off += FRAMES_MAX_SIZE) {
		uint32_t mask = pages_in_use(r->host + off);

		while (ret == 0 && mask != 0) {
			uint32_t first = (uint32_t)__builtin_ctz(mask);
			uint32_t pages = (uint32_t)__builtin_ctz(~(mask >> first));

			ret = plan_add(p, r->gpa + off + (uint64_t)first * MEM_PAGE_SIZE, pages,
				       err);
			mask &= ~(((1u << pages) - 1) << first);
		}
	}
	return ret;
}

/* Compress one frame into @packed (FRAMES_MAX_SIZE bytes), complete its entry, write it. */
static int write_frame(int fd, struct frames_entry *e, const uint8_t *pages, char *packed,
		       struct err *err)
{
	int size = (int)frames_size(e);
	const void *stored = packed;
	/* Room for one byte less than the pages have: no room means no gain. */
	int n = LZ4_compress_default((const char *)pages, packed, size, size - 1);
	int ret;

	if (n <= 0) {
		stored = pages;
		n = size;
		e->flags = FRAMES_RAW;
	}
	e->stored = (uint32_t)n;
	e->crc32c = digest_crc32c(0, stored, e->stored);
	ret = digest_of(&e->sha256, pages, frames_size(e), err);
	return ret < 0 ? ret : io_write(fd, stored, e->stored, e->offset, err);
}

static int write_data(int fd, const struct mem *mem, struct plan *p,
		      const struct io_progress *progress, struct err *err)
{
	char *packed = malloc(FRAMES_MAX_SIZE);
	uint64_t done_size = 0;
	int ret = 0;

	if (!packed)
		return err_set(err, ENOMEM, "frame buffer: out of memory");
	p->end = sizeof(struct frames_header) + p->n * sizeof(*p->table);
	for (size_t i = 0; ret == 0 && i < p->n; i++) {
		struct frames_entry *e = &p->table[i];

		e->offset = p->end;
		ret = write_frame(fd, e, mem_at(mem, e->gpa, frames_size(e)), packed, err);
		p->end += e->stored;
		done_size += frames_size(e);
		io_step(progress, done_size, p->npages * MEM_PAGE_SIZE);
	}
	free(packed);
	return ret;
}

static int write_table(int fd, const struct mem *mem, const struct plan *p, struct digest *out,
		       struct err *err)
{
	struct frames_header h = { .magic = FRAMES_MAGIC,
				   .version = FRAMES_VERSION,
				   .page_size = MEM_PAGE_SIZE,
				   .nframes = p->n,
				   .npages = p->npages,
				   .table_offset = sizeof(h),
				   .data_offset = sizeof(h) + p->n * sizeof(*p->table),
				   .ram_size = mem_size(mem) };
	int ret;

	h.crc32c = frames_header_crc(&h);
	ret = io_write(fd, &h, sizeof(h), 0, err);
	if (ret == 0)
		ret = io_write(fd, p->table, p->n * sizeof(*p->table), h.table_offset, err);
	return ret < 0 ? ret : frames_table_digest(&h, p->table, out, err);
}

int frames_write(int fd, const struct mem *mem, const struct io_progress *progress,
		 struct frames_info *out, struct err *err)
{
	struct plan p = { 0 };
	int ret = 0;

	*out = (struct frames_info){ 0 };
	for (unsigned int i = 0; ret == 0 && i < mem->nregions; i++)
		ret = plan_region(&p, &mem->regions[i], err);
	if (ret == 0)
		ret = write_data(fd, mem, &p, progress, err);
	if (ret == 0)
		ret = write_table(fd, mem, &p, &out->table, err);
	out->size = p.end;
	out->nframes = p.n;
	out->npages = p.npages;
	free(p.table);
	return ret;
}
