/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/frames.h"

#include <assert.h>
#include <errno.h>
#include <lz4.h>
#include <lz4hc.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/io.h"
#include "snapshot/wset.h"

#define COLD UINT32_MAX /* the rank of a page that is in no working set */

/* A frame's place in the order of the stored bytes: of the 2 MiB it lies in, then its own. */
struct rank {
	uint32_t group, frame;
	size_t index; /* in the table */
	const uint8_t *data;
};

/* Which frames there will be: the table must be complete before the first data byte's place
 * in the file is known. */
struct layout {
	const struct mem *mem;
	uint32_t *ranks; /* by page of RAM: how many were touched before it; NULL: all COLD */
	struct frames_entry *table;
	struct rank *order; /* of the stored bytes; one for each entry of the table */
	size_t n, cap;
	uint64_t npages;
	uint64_t end; /* of the file; set with the data */
	void *hc;     /* LZ4's state for smaller frames that decode faster; NULL: write fast */
};

/* Note for every page of RAM when it was touched. Without a working set: nothing to do. */
static int layout_ranks(struct layout *p, const struct wset *wset, struct err *err)
{
	size_t npages = mem_size(p->mem) / MEM_PAGE_SIZE;
	uint32_t rank = 0;

	if (!wset || wset->nruns == 0)
		return 0;
	p->ranks = malloc(npages * sizeof(*p->ranks));
	if (!p->ranks)
		return err_set(err, ENOMEM, "ranks of %zu pages: out of memory", npages);
	memset(p->ranks, 0xff, npages * sizeof(*p->ranks));
	for (uint32_t i = 0; i < wset->nruns; i++) {
		const struct wset_run *r = &wset->runs[i];
		uint32_t *at = p->ranks + mem_offset(p->mem, r->gpa) / MEM_PAGE_SIZE;

		assert(mem_holds(p->mem, r->gpa, wset_run_size(r)));
		for (uint32_t k = 0; k < r->pages; k++)
			at[k] = rank++;
	}
	return 0;
}

/* The smallest rank of @n pages. */
static uint32_t first_rank(const uint32_t *ranks, size_t n)
{
	uint32_t first = COLD;

	for (size_t i = 0; i < n; i++)
		first = MIN(first, ranks[i]);
	return first;
}

static bool layout_grow(struct layout *p)
{
	size_t cap = p->cap ? 2 * p->cap : 1024;
	void *table = realloc(p->table, cap * sizeof(*p->table));
	void *order;

	if (!table)
		return false;
	p->table = table;
	order = realloc(p->order, cap * sizeof(*p->order));
	if (!order)
		return false;
	p->order = order;
	p->cap = cap;
	return true;
}

/* @data: the frame's pages, one behind the other. */
static int layout_add(struct layout *p, gpa_t gpa, uint32_t pages, const uint8_t *data,
		      struct err *err)
{
	size_t page = mem_offset(p->mem, gpa) / MEM_PAGE_SIZE;
	size_t group = page & ~(size_t)(MEM_HUGE_SIZE / MEM_PAGE_SIZE - 1);
	struct rank rank = { .group = COLD, .frame = COLD, .index = p->n, .data = data };

	if (p->n == p->cap && !layout_grow(p))
		return err_set(err, ENOMEM, "table of more than %zu frames: out of memory",
			       p->cap);
	if (p->ranks)
		rank.frame = first_rank(p->ranks + page, pages);
	if (rank.frame != COLD)
		rank.group = first_rank(p->ranks + group, MEM_HUGE_SIZE / MEM_PAGE_SIZE);
	p->order[p->n] = rank;
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

/* Bit i: page i of the 64 KiB at @gpa is in the working set. */
static uint32_t pages_in_wset(const struct layout *p, gpa_t gpa)
{
	size_t page = mem_offset(p->mem, gpa) / MEM_PAGE_SIZE;
	uint32_t mask = 0;

	for (uint32_t i = 0; p->ranks && i < FRAMES_MAX_PAGES; i++) {
		if (p->ranks[page + i] != COLD)
			mask |= 1u << i;
	}
	return mask;
}

/* Pages that follow each other, in use, all of them in the working set or none, are a frame. */
static int layout_window(struct layout *p, gpa_t gpa, const uint8_t *host, struct err *err)
{
	uint32_t used = pages_in_use(host);
	uint32_t hot = pages_in_wset(p, gpa);
	int ret = 0;

	while (ret == 0 && used != 0) {
		uint32_t first = (uint32_t)__builtin_ctz(used);
		uint32_t alike = used & (hot >> first & 1 ? hot : ~hot);
		uint32_t pages = (uint32_t)__builtin_ctz(~(alike >> first));

		ret = layout_add(p, gpa + (uint64_t)first * MEM_PAGE_SIZE, pages,
				 host + (size_t)first * MEM_PAGE_SIZE, err);
		used &= ~(((1u << pages) - 1) << first);
	}
	return ret;
}

static int layout_region(struct layout *p, const struct mem_region *r, struct err *err)
{
	int ret = 0;

	for (uint64_t off = 0; ret == 0 && off < r->size; off += FRAMES_MAX_SIZE)
		ret = layout_window(p, r->gpa + off, r->host + off, err);
	return ret;
}

static int by_rank(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->group != y->group)
		return x->group < y->group ? -1 : 1;
	if (x->frame != y->frame)
		return x->frame < y->frame ? -1 : 1;
	return x->index < y->index ? -1 : x->index > y->index;
}

static int layout_all(struct layout *p, const struct wset *wset, struct err *err)
{
	int ret = layout_ranks(p, wset, err);

	for (unsigned int i = 0; ret == 0 && i < p->mem->nregions; i++)
		ret = layout_region(p, &p->mem->regions[i], err);
	if (ret == 0 && p->n > 0)
		qsort(p->order, p->n, sizeof(*p->order), by_rank);
	return ret;
}

static void layout_fini(struct layout *p)
{
	free(p->ranks);
	free(p->table);
	free(p->order);
	free(p->hc);
}

/* Returns the bytes that @size bytes at @pages became, or 0 when that is no fewer. */
static int pack(void *hc, const void *pages, char *packed, int size)
{
	int room = size - 1;

	return hc ? LZ4_compress_HC_extStateHC(hc, pages, packed, size, room,
					       LZ4HC_CLEVEL_DEFAULT)
		  : LZ4_compress_default(pages, packed, size, room);
}

/* Compress one frame into @packed (FRAMES_MAX_SIZE bytes), complete its entry, write it. */
static int write_frame(int fd, void *hc, struct frames_entry *e, const uint8_t *pages,
		       char *packed, struct err *err)
{
	int size = (int)frames_size(e);
	const void *stored = packed;
	int n = pack(hc, pages, packed, size);
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

static int write_data(int fd, struct layout *p, const struct io_progress *progress,
		      struct err *err)
{
	char *packed = malloc(FRAMES_MAX_SIZE);
	uint64_t done_size = 0;
	int ret = 0;

	if (!packed)
		return err_set(err, ENOMEM, "frame buffer: out of memory");
	p->end = sizeof(struct frames_header) + p->n * sizeof(*p->table);
	for (size_t i = 0; ret == 0 && i < p->n; i++) {
		struct frames_entry *e = &p->table[p->order[i].index];

		e->offset = p->end;
		ret = write_frame(fd, p->hc, e, p->order[i].data, packed, err);
		p->end += e->stored;
		done_size += frames_size(e);
		io_step(progress, done_size, p->npages * MEM_PAGE_SIZE);
	}
	free(packed);
	return ret;
}

static int write_table(int fd, const struct layout *p, struct digest *out, struct err *err)
{
	struct frames_header h = { .magic = FRAMES_MAGIC,
				   .version = FRAMES_VERSION,
				   .page_size = MEM_PAGE_SIZE,
				   .nframes = p->n,
				   .npages = p->npages,
				   .table_offset = sizeof(h),
				   .data_offset = sizeof(h) + p->n * sizeof(*p->table),
				   .ram_size = mem_size(p->mem) };
	int ret;

	h.crc32c = frames_header_crc(&h);
	ret = io_write(fd, &h, sizeof(h), 0, err);
	if (ret == 0)
		ret = io_write(fd, p->table, p->n * sizeof(*p->table), h.table_offset, err);
	return ret < 0 ? ret : frames_table_digest(&h, p->table, out, err);
}

static int write_all(int fd, struct layout *p, const struct io_progress *progress,
		     struct frames_info *out, struct err *err)
{
	int ret = write_data(fd, p, progress, err);

	if (ret == 0)
		ret = write_table(fd, p, &out->table, err);
	out->size = p->end;
	out->nframes = p->n;
	out->npages = p->npages;
	return ret;
}

int frames_write(int fd, const struct mem *mem, const struct wset *wset,
		 const struct io_progress *progress, struct frames_info *out, struct err *err)
{
	struct layout p = { .mem = mem, .hc = malloc((size_t)LZ4_sizeofStateHC()) };
	int ret = p.hc ? layout_all(&p, wset, err)
		       : err_set(err, ENOMEM, "compressor's state: out of memory");

	*out = (struct frames_info){ 0 };
	if (ret == 0)
		ret = write_all(fd, &p, progress, out, err);
	layout_fini(&p);
	return ret;
}

/* How many of @n pages make one frame: in one window, neighbours there and in our memory. */
static uint32_t run_of(const struct frames_page *pages, size_t n)
{
	uint64_t room = FRAMES_MAX_PAGES - pages->gpa / MEM_PAGE_SIZE % FRAMES_MAX_PAGES;
	uint32_t run = 1;

	while (run < MIN(n, room) &&
	       pages[run].gpa == pages->gpa + (uint64_t)run * MEM_PAGE_SIZE &&
	       pages[run].data == pages->data + (size_t)run * MEM_PAGE_SIZE)
		run++;
	return run;
}

int frames_write_pages(int fd, const struct mem *ram, const struct frames_page *pages, size_t n,
		       struct frames_info *out, struct err *err)
{
	struct layout p = { .mem = ram };
	int ret = 0;

	*out = (struct frames_info){ 0 };
	for (size_t i = 0; i < n && ret == 0;) {
		uint32_t run = run_of(pages + i, n - i);

		ret = layout_add(&p, pages[i].gpa, run, pages[i].data, err);
		i += run;
	}
	if (ret == 0)
		ret = write_all(fd, &p, NULL, out, err);
	layout_fini(&p);
	return ret;
}
