/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"

static uint8_t *block_of(struct plan *p, const struct frames_entry *e)
{
	return &p->blocks[mem_offset(&p->image->ram, e->gpa) / MEM_HUGE_SIZE];
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

static void mark_blocks(struct plan *p, const bool *hot)
{
	const struct frames *f = &p->image->frames;

	for (uint64_t i = 0; i < p->nframes; i++) {
		uint8_t *block = block_of(p, &f->table[i]);

		if (*block != PLAN_HOT)
			*block = hot[i] ? PLAN_HOT : PLAN_COLD;
	}
}

/* Append the frames of one part of the list, in the order in which they are stored. */
static uint64_t append(struct plan *p, uint64_t n, const bool *hot, bool want_hot,
		       enum plan_block block)
{
	const struct frames *f = &p->image->frames;

	for (uint64_t i = 0; i < p->nframes; i++) {
		uint64_t frame = f->order[i];

		if (hot[frame] != want_hot || *block_of(p, &f->table[frame]) != block)
			continue;
		p->place[frame] = (uint32_t)n;
		p->list[n++] = frame;
	}
	return n;
}

int plan_init(struct plan *p, const struct image *image, struct err *err)
{
	uint64_t n = image->frames.header.nframes;
	auto_free bool *hot = calloc(n + 1, sizeof(*hot));

	*p = (struct plan){ .image = image, .nframes = n };
	p->nblocks = mem_size(&image->ram) / MEM_HUGE_SIZE;
	p->list = malloc((n + 1) * sizeof(*p->list));
	p->place = malloc((n + 1) * sizeof(*p->place));
	p->blocks = calloc(p->nblocks, sizeof(*p->blocks));
	if (!hot || !p->list || !p->place || !p->blocks)
		return err_set(err, ENOMEM, "plan for %" PRIu64 " frames: out of memory", n);
	mark_hot(image, hot);
	mark_blocks(p, hot);
	p->nhot = append(p, 0, hot, true, PLAN_HOT);
	p->nready = append(p, p->nhot, hot, false, PLAN_HOT);
	append(p, p->nready, hot, false, PLAN_COLD);
	return 0;
}

void plan_fini(struct plan *p)
{
	free(p->list);
	free(p->place);
	free(p->blocks);
	*p = (struct plan){ 0 };
}

bool plan_next_run(const struct plan *p, const struct mem *mem, enum plan_block kind,
		   uint64_t *at, uint8_t **host, uint64_t *size)
{
	uint64_t first = 0; /* block of the region */

	for (uint32_t i = 0; i < mem->nregions; i++) {
		const struct mem_region *r = &mem->regions[i];
		uint64_t end = first + r->size / MEM_HUGE_SIZE, run = 0;

		while (*at < end && p->blocks[*at] != kind)
			++*at;
		while (*at + run < end && p->blocks[*at + run] == kind)
			run++;
		if (run > 0) {
			*host = r->host + (*at - first) * MEM_HUGE_SIZE;
			*size = run * MEM_HUGE_SIZE;
			*at += run;
			return true;
		}
		first = end;
	}
	return false;
}
