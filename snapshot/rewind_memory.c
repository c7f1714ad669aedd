/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/rewind_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/io.h"
#include "snapshot/machine.h"
#include "snapshot/rewind.h"
#include "snapshot/rewind_tables.h"
#include "snapshot/template.h"

/* ---- getting ready ---- */

static int add_area(struct rewind *r, uint8_t *host, const uint8_t *origin, uint64_t size,
		    struct err *err)
{
	struct rewind_area *a = &r->areas[r->nareas++];

	*a = (struct rewind_area){ .host = host,
				   .origin = origin,
				   .npages = size / MEM_PAGE_SIZE };
	a->owned = calloc(1, pages_bitmap_size(a->npages));
	a->given = calloc(1, pages_bitmap_size(a->npages));
	if (!a->owned || !a->given)
		return err_set(err, ENOMEM, "no memory to rewind %llu pages",
			       (unsigned long long)a->npages);
	return 0;
}

static int add_areas(struct rewind *r, const struct machine *m, struct err *err)
{
	const struct mem *mem = &m->vm.mem;
	uint64_t at = 0, longest = MEM_HUGE_SIZE; /* no region is shorter */
	int ret = 0;

	for (uint32_t i = 0; i < mem->nregions && ret == 0; i++) {
		const struct mem_region *region = &mem->regions[i];

		ret = add_area(r, region->host, r->memory + at, region->size, err);
		at += region->size;
		longest = MAX(longest, region->size);
	}
	if (ret == 0)
		ret = add_area(r, m->mailbox->window, NULL, ABI_WINDOW_SIZE, err);
	if (ret < 0)
		return ret;
	r->found = calloc(1, pages_bitmap_size(longest / MEM_PAGE_SIZE));
	return r->found ? 0 : err_set(err, ENOMEM, "no memory for a bitmap of pages");
}

/* The bits of areas[0..] that are page tables, by the template's own registers. */
static int note_tables(struct rewind *r, const struct machine *m, struct err *err)
{
	struct mem origin = m->vm.mem;
	uint64_t at = 0;

	for (uint32_t i = 0; i < origin.nregions; i++) {
		struct rewind_area *a = &r->areas[i];

		origin.regions[i].host = r->memory + at;
		at += origin.regions[i].size;
		a->tables = calloc(1, pages_bitmap_size(a->npages));
		if (!a->tables)
			return err_set(err, ENOMEM, "no memory for a bitmap of page tables");
	}
	for (uint32_t i = 0; i < r->template->state.nvcpus; i++)
		rewind_tables_mark(r, &origin, &r->template->state.vcpus[i].sregs);
	return 0;
}

int rewind_memory_open(struct rewind *r, const struct machine *m, struct err *err)
{
	int ret = add_areas(r, m, err);

	return ret < 0 ? ret : note_tables(r, m, err);
}

void rewind_memory_close(struct rewind *r)
{
	for (uint32_t i = 0; i < r->nareas; i++) {
		free(r->areas[i].owned);
		free(r->areas[i].given);
		free(r->areas[i].tables);
	}
	free(r->owned);
	free(r->found);
}

/* ---- finding what was changed ---- */

static int own_page(struct rewind *r, uint16_t area, uint64_t page, struct err *err)
{
	struct rewind_area *a = &r->areas[area];
	uint64_t off = page * MEM_PAGE_SIZE;

	if (r->nowned == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 256;
		struct rewind_page *owned = realloc(r->owned, cap * sizeof(*owned));

		if (!owned)
			return err_set(err, ENOMEM, "no memory for a list of %zu pages", cap);
		r->owned = owned;
		r->cap = cap;
	}
	r->owned[r->nowned++] = (struct rewind_page){
		.host = a->host + off,
		.origin = a->origin ? a->origin + off : NULL,
		.page = (uint32_t)page,
		.area = area,
	};
	pages_set(a->owned, page);
	a->nowned++;
	return 0;
}

/* The pages of a region of RAM that this process has got copies of since the last look. */
static int find_copies(struct rewind *r, uint16_t area, struct err *err)
{
	const struct rewind_area *a = &r->areas[area];
	size_t words = pages_bitmap_size(a->npages) / sizeof(uint64_t);
	int ret;

	memset(r->found, 0, words * sizeof(uint64_t));
	ret = pages_find(&r->pages, a->host, a->npages * MEM_PAGE_SIZE, r->found, err);
	for (size_t w = 0; w < words && ret == 0; w++) {
		uint64_t new = r->found[w] & ~a->owned[w];

		for (; new != 0 && ret == 0; new &= new - 1)
			ret = own_page(r, area, w * 64 + (uint64_t)__builtin_ctzll(new), err);
	}
	return ret;
}

/* A stretch of the window, of which @first is new. */
static int own_run(struct rewind *r, uint16_t area, uint64_t first, struct err *err)
{
	const struct rewind_area *a = &r->areas[area];
	uint64_t end = first;
	int ret = pages_seek(r->window_fd, SEEK_HOLE, &end, err);

	for (uint64_t page = first; page < end && ret >= 0; page++) {
		if (!pages_test(a->owned, page))
			ret = own_page(r, area, page, err);
	}
	return ret;
}

/* The pages that the window has got since the last look: asked of its memfd, because what was
 * written by another mapping, or swapped out, is in no page table here. Known pages are leapt
 * over, so that this costs a call for every stretch of them, not for every page. */
static int find_written(struct rewind *r, uint16_t area, struct err *err)
{
	const struct rewind_area *a = &r->areas[area];
	uint64_t page = 0;
	int ret;

	while ((ret = pages_seek(r->window_fd, SEEK_DATA, &page, err)) == 1) {
		if (!pages_test(a->owned, page))
			ret = own_run(r, area, page, err);
		if (ret < 0)
			return ret;
		do
			page++;
		while (page < a->npages && pages_test(a->owned, page));
	}
	return ret;
}

/* ---- putting it back ---- */

static bool is_table(const struct rewind *r, const struct rewind_page *p)
{
	const uint64_t *tables = r->areas[p->area].tables;

	return tables && pages_test(tables, p->page);
}

static bool is_different(const struct rewind_page *p)
{
	return p->origin ? memcmp(p->host, p->origin, MEM_PAGE_SIZE) != 0
			 : !io_is_zero(p->host, MEM_PAGE_SIZE);
}

/* Neighbours that are given back by one call. */
struct run {
	uint8_t *host;
	size_t size;
	int advice;
};

/* The kernel's copies of these pages go; what is seen there is the template's again, or zeros. */
static int run_give_back(struct run *run, struct err *err)
{
	if (run->size > 0 && madvise(run->host, run->size, run->advice) < 0)
		return err_sys(err, "give %zu bytes back", run->size);
	run->size = 0;
	return 0;
}

/* @run: what waits to be given back; this page is appended, or waits behind it. */
static int give_back(struct rewind *r, const struct rewind_page *p, struct run *run,
		     struct err *err)
{
	struct rewind_area *a = &r->areas[p->area];
	int advice = p->origin ? MADV_DONTNEED : MADV_REMOVE, ret;

	if (run->host + run->size != p->host || run->advice != advice) {
		ret = run_give_back(run, err);
		if (ret < 0)
			return ret;
		*run = (struct run){ .host = p->host, .advice = advice };
	}
	run->size += MEM_PAGE_SIZE;
	pages_clear(a->owned, p->page);
	pages_set(a->given, p->page);
	a->nowned--;
	r->stats.pages_given_back++;
	return 0;
}

/*
 * A shadow page table may hold what was in this page for a moment only, so having been written to
 * is enough; and to be seen the next time, the page must not stay.
 */
static bool has_shadow(const struct rewind *r, const struct rewind_page *p)
{
	return r->flush_way == FLUSH_BY_SLOT && is_table(r, p);
}

/* Returns whether to keep the page in the list; else it is to be given back. */
static bool restore_page(struct rewind *r, struct rewind_page *p)
{
	const struct rewind_area *a = &r->areas[p->area];
	bool different = is_different(p), shadow = has_shadow(r, p);
	uint32_t most = p->origin ? REWIND_PAGES_MAX : REWIND_WINDOW_MAX;

	r->stats.pages_compared++;
	if (shadow || (different && is_table(r, p)))
		r->tables_changed = true;
	p->equal = different || pages_test(a->given, p->page) ? 0 : (uint16_t)(p->equal + 1);
	if (p->equal > REWIND_EQUAL_MAX || a->nowned > most || shadow)
		return false;
	if (!different)
		return true;
	if (p->origin) {
		memcpy(p->host, p->origin, MEM_PAGE_SIZE);
		r->stats.pages_copied++;
	} else {
		memset(p->host, 0, MEM_PAGE_SIZE);
	}
	return true;
}

int rewind_memory_restore(struct rewind *r, bool copies, struct err *err)
{
	struct run run = { 0 };
	size_t kept = 0;
	int ret = 0;

	r->stats.searches += copies;
	for (uint16_t i = 0; i < r->nareas && ret == 0; i++) {
		if (r->areas[i].origin && copies)
			ret = find_copies(r, i, err);
		else if (!r->areas[i].origin && (copies || !r->is_alone))
			ret = find_written(r, i, err);
	}
	for (size_t i = 0; i < r->nowned && ret == 0; i++) {
		if (restore_page(r, &r->owned[i]))
			r->owned[kept++] = r->owned[i];
		else
			ret = give_back(r, &r->owned[i], &run, err);
	}
	if (ret < 0)
		return ret;
	r->nowned = kept;
	return run_give_back(&run, err);
}
