/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - in which order the frames of an image are wanted, and which 2 MiB blocks of guest
 * memory hold what. Made once per template; read-only afterwards.
 *
 *	list  |    hot    | rest of the blocks with a hot page |   all others   |
 *	      0         nhot                                nready           nframes
 *
 * Hot frames hold pages of the working set; in an image without one every frame is hot. A
 * machine that has the first nready frames can have its hot blocks mapped as huge pages: nothing
 * is missing in them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"

struct err;
struct image;

enum plan_block {
	PLAN_ZERO, /* nothing is stored: what is missing is zero */
	PLAN_COLD, /* frames, none of them hot */
	PLAN_HOT,  /* at least one hot frame */
};

struct plan {
	const struct image *image; /* not owned */
	uint64_t *list;		   /* indices of frames */
	uint32_t *place;	   /* by frame: its position in the list */
	uint64_t nhot, nready, nframes;
	uint8_t *blocks; /* enum plan_block of each 2 MiB of RAM, region after region */
	uint64_t nblocks;
};

/* Errors: -ENOMEM. plan_fini is safe then, and on a zeroed plan. */
int plan_init(struct plan *p, const struct image *image, struct err *err) must_check;
void plan_fini(struct plan *p);

/*
 * plan_next_run - the next blocks of one region that follow each other and are all of @kind.
 * @at: where to go on, in blocks; 0 first; moves. @mem: the machine's regions, mapped.
 * Returns whether there is one: @host and @size then say where.
 */
bool plan_next_run(const struct plan *p, const struct mem *mem, enum plan_block kind,
		   uint64_t *at, uint8_t **host, uint64_t *size);
