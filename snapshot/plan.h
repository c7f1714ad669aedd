/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan.h - in which order the frames of an image are wanted, and which 2 MiB blocks of guest
 * memory hold what. Made once per template; read-only afterwards.
 *
 *	list  |    hot    | rest of the dense blocks |   all others   |
 *	      0         nhot                       nready           nframes
 *
 * Hot frames hold pages of the working set; in an image without one every frame is hot. A block
 * with many hot pages is worth to be had whole, in one huge page: decoding its other pages costs
 * less than the guest's faults on small ones.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"

struct err;
struct image;

/* What a block holds; or'ed together to name several kinds. */
enum plan_block {
	PLAN_ZERO = 1u << 0,   /* nothing is stored: what is missing is zero */
	PLAN_COLD = 1u << 1,   /* frames, none of them hot */
	PLAN_SPARSE = 1u << 2, /* some hot frames */
	PLAN_DENSE = 1u << 3,  /* at least half of what is stored is hot */
};

struct plan_pages {
	uint32_t hot, all;
};

struct plan {
	const struct image *image; /* not owned */
	uint64_t *list;		   /* indices of frames */
	uint32_t *place;	   /* by frame: its position in the list */
	uint64_t nhot, nready, nframes;
	uint64_t hot_pages; /* in the hot frames */
	uint8_t *blocks;    /* enum plan_block of each 2 MiB of RAM, region after region */
	uint64_t nblocks;
	/* What the above was made of. */
	bool *hot;		  /* by frame */
	struct plan_pages *pages; /* by block: how many are stored */
};

/* Errors: -ENOMEM. plan_fini is safe then, and on a zeroed plan. */
int plan_init(struct plan *p, const struct image *image, struct err *err) must_check;
void plan_fini(struct plan *p);

/* One stretch of guest memory on the host; begins zeroed. */
struct plan_run {
	uint8_t *host;
	uint64_t size;
	uint64_t next; /* block to go on with */
};

/*
 * plan_next_run - the next blocks of one region that follow each other and are all of @kinds.
 * @mem: the machine's regions, mapped. Returns whether there are any.
 */
bool plan_next_run(const struct plan *p, const struct mem *mem, unsigned int kinds,
		   struct plan_run *run);

/* What the block of @frame is. */
enum plan_block plan_block_of(const struct plan *p, uint64_t frame);
