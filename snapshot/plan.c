/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"

static uint64_t block_index(const struct plan *p, uint64_t frame)
{
	gpa_t gpa = p->image->frames.table[frame].gpa;

	return mem_offset(&p->image->ram, gpa) / MEM_HUGE_SIZE;
}

enum plan_block plan_block_of(const struct plan *p, uint64_t frame)
{
	return (enum plan_block)p->blocks[block_index(p, frame)];
}

/* Frames that hold a page of @r: they are sorted by address. */
static void mark_run(const struct frames *f, const struct wset_run *r, bool *hot)
{
	gpa_t end = r->gpa + wset_run_size(r);

	for (uint64_t i = frames_find(f, r->gpa); i < f->header.nframes; i++) {
		if (f->table[i].gpa >= end)
			break;
		hot[i] = true;
	}
}

static void mark_hot(const struct image *img, bool *hot)
{
	if (img->wset.nruns == 0)
		memset(hot, true, img->frames.header.nframes);
	for (uint32_t i = 0; i < img->wset.nruns; i++)
		mark_run(&img->frames, &img->wset.runs[i], hot);
}

static void count_pages(struct plan *p)
{
	const struct frames_entry *table = p->image->frames.table;

	for (uint64_t i = 0; i < p->nframes; i++) {
		struct plan_pages *pages = &p->pages[block_index(p, i)];

		pages->all += table[i].pages;
		pages->hot += p->hot[i] ? table[i].pages : 0;
		p->hot_pages += p->hot[i] ? table[i].pages : 0;
	}
}

static enum plan_block kind_of(const struct plan_pages *pages)
{
	if (pages->all == 0)
		return PLAN_ZERO;
	if (pages->hot == 0)
		return PLAN_COLD;
	return pages->hot < pages->all / 2 ? PLAN_SPARSE : PLAN_DENSE;
}

/* Append the frames of one part of the list, in the order in which they are stored. */
static uint64_t append(struct plan *p, uint64_t n, bool hot, unsigned int kinds)
{
	for (uint64_t i = 0; i < p->nframes; i++) {
		uint64_t frame = p->image->frames.order[i];

		if (p->hot[frame] != hot || !(plan_block_of(p, frame) & kinds))
			continue;
		p->place[frame] = (uint32_t)n;
		p->list[n++] = frame;
	}
	return n;
}

int plan_init(struct plan *p, const struct image *image, struct err *err)
{
	uint64_t n = image->frames.header.nframes;

	*p = (struct plan){ .image = image, .nframes = n };
	p->nblocks = mem_size(&image->ram) / MEM_HUGE_SIZE;
	p->list = malloc((n + 1) * sizeof(*p->list));
	p->place = malloc((n + 1) * sizeof(*p->place));
	p->hot = calloc(n + 1, sizeof(*p->hot));
	p->blocks = calloc(p->nblocks, sizeof(*p->blocks));
	p->pages = calloc(p->nblocks, sizeof(*p->pages));
	if (!p->list || !p->place || !p->hot || !p->blocks || !p->pages)
		return err_set(err, ENOMEM, "plan for %" PRIu64 " frames: out of memory", n);
	mark_hot(image, p->hot);
	count_pages(p);
	for (uint64_t i = 0; i < p->nblocks; i++)
		p->blocks[i] = (uint8_t)kind_of(&p->pages[i]);
	p->nhot = append(p, 0, true, PLAN_SPARSE | PLAN_DENSE);
	p->nready = append(p, p->nhot, false, PLAN_DENSE);
	append(p, p->nready, false, PLAN_COLD | PLAN_SPARSE);
	return 0;
}

void plan_fini(struct plan *p)
{
	free(p->list);
	free(p->place);
	free(p->blocks);
	free(p->hot);
	free(p->pages);
	*p = (struct plan){ 0 };
}

bool plan_next_run(const struct plan *p, const struct mem *mem, unsigned int kinds,
		   struct plan_run *run)
{
	uint64_t first = 0, at = run->next; /* in blocks of all regions */

	for (uint32_t i = 0; i < mem->nregions; i++) {
		const struct mem_region *r = &mem->regions[i];
		uint64_t end = first + r->size / MEM_HUGE_SIZE;

		while (at < end && !(p->blocks[at] & kinds))
			at++;
		run->next = at;
		while (run->next < end && p->blocks[run->next] & kinds)
			run->next++;
		run->host = r->host + (at - first) * MEM_HUGE_SIZE;
		run->size = (run->next - at) * MEM_HUGE_SIZE;
		if (run->size > 0)
			return true;
		first = end;
	}
	return false;
}
