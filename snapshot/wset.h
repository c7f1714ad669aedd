/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wset.h - the working set of an image: the guest pages that starts of it really touched, in
 * the order of their first touch, as record runs found it (record.h). wset.bin holds it;
 * docs/image-format.md describes the bytes, the two structs below are them.
 *
 * A struct wset is read-only once it is made: any thread may look at it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"

struct err;

#define WSET_MAGIC	     "THAWWSET"
#define WSET_VERSION	     1u
#define WSET_MAX_RECORD_RUNS UINT16_MAX /* what wset_run.seen can count to */
#define WSET_MAX_RUNS	     (1u << 20) /* ours: each page of 4 GiB on its own */

/* Magic, version and CRC keep their places in every version of the file. */
struct wset_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t nruns;
	uint64_t ram_size;    /* bytes of all regions together */
	uint32_t record_runs; /* how many starts were recorded */
	uint32_t runs_crc32c; /* of all runs */
	uint8_t reserved[28];
	uint32_t crc32c; /* of this header, this field taken as 0 */
};

enum { WSET_DIRTIED = 1u << 0 }; /* written to in at least one record run */

/* Guest pages that follow each other, and were first touched one after the other. */
struct wset_run {
	uint64_t gpa; /* of the first page */
	uint32_t pages;
	uint16_t seen; /* in how many record runs each of them was touched */
	uint16_t flags;
};

_Static_assert(sizeof(struct wset_header) == 64, "as documented");
_Static_assert(sizeof(struct wset_run) == 16, "as documented");

#define WSET_MAX_SIZE (sizeof(struct wset_header) + WSET_MAX_RUNS * sizeof(struct wset_run))

/*
 * Zeroed: no working set. Every page of a run is in the machine's memory, and in no other run.
 * What every start needs are the runs with seen == record_runs; all runs are what some did.
 */
struct wset {
	uint32_t record_runs;
	uint32_t nruns;
	struct wset_run *runs; /* owned */
};

static inline uint64_t wset_run_size(const struct wset_run *r)
{
	return (uint64_t)r->pages * MEM_PAGE_SIZE;
}

/* What wset_header.crc32c has to be. */
uint32_t wset_header_crc(const struct wset_header *h);

/*
 * wset_parse - check the bytes of a wset.bin, all of them, and take the runs out.
 * @ram: the machine's regions; host pointers are not looked at.
 * Errors: -ERR_DAMAGED, with the run; -ERR_UNFIT another file version; -ENOMEM. @w is zeroed
 * then.
 */
int wset_parse(struct wset *w, const void *buf, size_t len, const struct mem *ram,
	       struct err *err) must_check;

/*
 * wset_encode - the bytes of the wset.bin that says what @w says.
 * @buf: gets memory for free(3).
 * Errors: -EFBIG more than WSET_MAX_RUNS; -ENOMEM.
 */
int wset_encode(const struct wset *w, const struct mem *ram, void **buf, size_t *len,
		struct err *err) must_check;

void wset_fini(struct wset *w);

/* Numbers of pages. */
struct wset_counts {
	uint64_t touched; /* in some record run */
	uint64_t always;  /* in every one */
	uint64_t dirtied; /* written to in some */
};
struct wset_counts wset_count(const struct wset *w);

/*
 * The builder merges the touches of several record runs. A page keeps the place that it got
 * from the first run which touched it. Zeroed to begin with; it belongs to one thread.
 */
struct wset_builder {
	struct mem ram;
	uint32_t record_runs; /* begun */
	uint32_t ntouches, cap;
	struct wset_touch *touches; /* pages in the order of their first touch */
	uint32_t *places;	    /* by page of RAM: index in touches + 1; 0: not touched */
};

/*
 * wset_builder_init - @ram: the machine's regions; host pointers are not looked at.
 * Errors: -EFBIG more RAM than can be counted; -ENOMEM. wset_builder_fini is safe in every case.
 */
int wset_builder_init(struct wset_builder *b, const struct mem *ram,
		      struct err *err) must_check;
void wset_builder_fini(struct wset_builder *b);

/* The touches that follow are of another start. Errors: -E2BIG more than WSET_MAX_RECORD_RUNS. */
int wset_builder_begin(struct wset_builder *b, struct err *err) must_check;

/*
 * wset_builder_touch - the page at @gpa was touched, or (@flags: WSET_DIRTIED) written to.
 * Any number of times for one page. Errors: -ERANGE not in RAM; -ENOMEM.
 */
int wset_builder_touch(struct wset_builder *b, gpa_t gpa, uint16_t flags,
		       struct err *err) must_check;

/* What all record runs together found. Errors: -ENOMEM. */
int wset_builder_finish(const struct wset_builder *b, struct wset *out,
			struct err *err) must_check;
