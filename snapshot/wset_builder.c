/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/wset.h"

struct wset_touch {
	gpa_t gpa;
	uint32_t last_run; /* the record run that touched it last, from 1 */
	uint16_t seen;
	uint16_t flags;
};

int wset_builder_init(struct wset_builder *b, const struct mem *ram, struct err *err)
{
	uint64_t npages = mem_size(ram) / MEM_PAGE_SIZE;

	*b = (struct wset_builder){ .ram = *ram };
	if (npages >= UINT32_MAX)
		return err_set(err, EFBIG, "%" PRIu64 " pages of RAM, fewer than %u expected",
			       npages, UINT32_MAX);
	b->places = calloc(npages, sizeof(*b->places));
	if (!b->places)
		return err_set(err, ENOMEM, "places of %" PRIu64 " pages: out of memory",
			       npages);
	return 0;
}

void wset_builder_fini(struct wset_builder *b)
{
	free(b->touches);
	free(b->places);
	*b = (struct wset_builder){ 0 };
}

int wset_builder_begin(struct wset_builder *b, struct err *err)
{
	if (b->record_runs == WSET_MAX_RECORD_RUNS)
		return err_set(err, E2BIG, "more than %u record runs", WSET_MAX_RECORD_RUNS);
	b->record_runs++;
	return 0;
}

static int add_touch(struct wset_builder *b, uint32_t *place, gpa_t gpa, struct err *err)
{
	if (b->ntouches == b->cap) {
		uint32_t cap = b->cap ? 2 * b->cap : 1024;
		void *touches = realloc(b->touches, cap * sizeof(*b->touches));

		if (!touches)
			return err_set(err, ENOMEM, "%u touched pages: out of memory", cap);
		b->touches = touches;
		b->cap = cap;
	}
	b->touches[b->ntouches++] = (struct wset_touch){ .gpa = gpa };
	*place = b->ntouches;
	return 0;
}

int wset_builder_touch(struct wset_builder *b, gpa_t gpa, uint16_t flags, struct err *err)
{
	gpa_t page = gpa & ~(gpa_t)(MEM_PAGE_SIZE - 1);
	uint64_t off = mem_offset(&b->ram, page);
	struct wset_touch *t;
	uint32_t *place;
	int ret;

	if (off == MEM_NOWHERE)
		return err_set(err, ERANGE, "guest address 0x%" PRIx64 " is not in RAM", gpa);
	place = &b->places[off / MEM_PAGE_SIZE];
	ret = *place == 0 ? add_touch(b, place, page, err) : 0;
	if (ret < 0)
		return ret;
	t = &b->touches[*place - 1];
	t->flags |= flags;
	if (t->last_run != b->record_runs)
		t->seen++;
	t->last_run = b->record_runs;
	return 0;
}

static bool continues(const struct wset_run *r, const struct wset_touch *t)
{
	return r->gpa + wset_run_size(r) == t->gpa && r->seen == t->seen &&
	       r->flags == t->flags;
}

/* Two regions may touch each other, a run lies in one. */
static bool begins_region(const struct mem *ram, gpa_t gpa)
{
	for (unsigned int i = 0; i < ram->nregions; i++) {
		if (ram->regions[i].gpa == gpa)
			return true;
	}
	return false;
}

int wset_builder_finish(const struct wset_builder *b, struct wset *out, struct err *err)
{
	struct wset w = { .record_runs = b->record_runs };

	*out = (struct wset){ 0 };
	w.runs = calloc(MAX(b->ntouches, 1u), sizeof(*w.runs));
	if (!w.runs)
		return err_set(err, ENOMEM, "working set of %u pages: out of memory",
			       b->ntouches);
	for (uint32_t i = 0; i < b->ntouches; i++) {
		const struct wset_touch *t = &b->touches[i];
		struct wset_run *last = w.nruns > 0 ? &w.runs[w.nruns - 1] : NULL;

		if (last && continues(last, t) && !begins_region(&b->ram, t->gpa))
			last->pages++;
		else
			w.runs[w.nruns++] = (struct wset_run){
				.gpa = t->gpa, .pages = 1, .seen = t->seen, .flags = t->flags
			};
	}
	*out = w;
	return 0;
}
