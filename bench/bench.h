/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - what all parts of the benchmark share: the host, the images, the report, the goals.
 *
 * Each part measures some goals, in this process unless it says otherwise. A part that cannot
 * measure says so in the goal and returns 0; it returns an error only where what it measures is
 * broken: a wrong reply is never a sample.
 */
#pragma once

#include <stdbool.h>

#include "bench/bars.h"
#include "engine/kvm.h"
#include "snapshot/thaw.h"
#include "tools/measure/goals.h"
#include "tools/measure/report.h"

struct bench {
	bool quick;
	const char *thaw;  /* the program */
	const char *guest; /* folder of the programs that run inside machines */
	char scratch[64];  /* folder of the images; removed at the end */
	struct thaw_host *host;
	struct thaw_zygote *zygote; /* of all pools: forked before there is much to copy */
	struct kvm kvm; /* the same host, for the peers, which are made of the engine's parts */
	struct report report;
	struct goals goals;
	struct bars bars;
};

/* An image with its template: what clones are made of. */
struct subject {
	char dir[128];
	struct thaw_image *image;
	struct thaw_template *template;
};

/* What an image is made of. */
struct recipe {
	const char *program;
	bool raw;	    /* with memory.raw */
	bool linux_guest;   /* not in kindling */
	const char *sample; /* the event that record runs start with; NULL: an empty one */
	const char *mem;    /* size of guest memory; NULL: as usual */
};

/*
 * subject_build_by - have the sample program frozen into the scratch folder, unless it was.
 * Writes the image's folder to @dir. subject_open_by also opens it for @tier.
 */
int subject_build_by(const struct bench *b, const struct recipe *r, char dir[128],
		     struct thaw_err *err);
int subject_open_by(struct subject *s, const struct bench *b, const struct recipe *r,
		    const char *tier, struct thaw_err *err);

/* The same of a recipe that has no more than that. */
int subject_build(const struct bench *b, const char *program, bool raw, char dir[128],
		  struct thaw_err *err);
int subject_open(struct subject *s, const struct bench *b, const char *program, bool raw,
		 const char *tier, struct thaw_err *err);
void subject_close(struct subject *s);

/* Bytes of all files of the image in @dir. */
int subject_size(const char *dir, double *size, struct err *err);

/*
 * bench_thaw - run the program with these arguments to its end; what it prints on stdout is
 * dropped. Errors: -EIO it did not end well; what posix_spawn says.
 */
int bench_thaw(const struct bench *b, const char *const *argv, struct err *err);

/* Is there such a tier in this libthaw? */
bool bench_has_tier(const char *name);

/* @full rounds, or a part of them in a quick run. */
unsigned int bench_rounds(const struct bench *b, unsigned int full);

/* The parts; each adds its series, charts and findings. */
int bench_warm(struct bench *b, struct thaw_err *err);	  /* goals 1, 2, 9, 12, 14 */
int bench_fresh(struct bench *b, struct thaw_err *err);	  /* goals 3, 4, 11 */
int bench_rate(struct bench *b, struct thaw_err *err);	  /* goal 5 */
int bench_cold(struct bench *b, struct thaw_err *err);	  /* goals 6, 7 */
int bench_density(struct bench *b, struct thaw_err *err); /* goals 8, 10 */
int bench_size(struct bench *b, struct thaw_err *err);	  /* goal 13 */
int bench_fork(struct bench *b, struct thaw_err *err);	  /* bars only */
int bench_linux(struct bench *b, struct thaw_err *err);	  /* likewise */
int bench_disk(struct bench *b, struct thaw_err *err);	  /* likewise */

/* `make density`: the same at length, and as many as fit in half of the memory. */
int bench_density_long(struct bench *b, struct thaw_err *err);
