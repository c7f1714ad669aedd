/* SPDX-License-Identifier: Apache-2.0 */
/*
 * series.h - raw samples under a name, and runs that take several series in turn.
 *
 * What is compared is measured in one run, interleaved: one sample of each variant, then one of
 * each again. Whatever slows the host down then meets all of them alike.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/thaw.h"
#include "tools/measure/stats.h"

#define SERIES_MAX 96u /* in one list; ours */

struct series {
	char name[40];	/* key in the JSON, with the unit as its end: "warm_us" */
	char label[72]; /* for people */
	double *values;
	size_t n, cap;
};

/* Grows as needed. Series do not move: others may point to them. */
struct series_list {
	unsigned int n;
	struct series all[SERIES_MAX];
};

/* A new, empty series; the texts are copied. More than SERIES_MAX are asserted against. */
struct series *series_new(struct series_list *list, const char *name, const char *label);
void series_fini(struct series_list *list);

/* Returns 0 or -ENOMEM. */
int series_add(struct series *s, double value);
struct stats series_stats(const struct series *s);

/* Ratio of two percentiles of two series. Errors: as stats_ratio. */
int series_ratio(struct ratio *r, const struct series *over, unsigned int over_percent,
		 const struct series *under, unsigned int under_percent);

/* One of the things that are measured in turn. */
struct variant {
	/* Take one sample. What it times is its own business; it gives the value. */
	int (*run)(void *arg, double *value, struct thaw_err *err);
	void *arg;
	struct series *to;
	unsigned int every; /* in each such round only: for what is slow; 0 or 1: in all */
};

/*
 * series_interleave - @rounds.count rounds over all variants, after @rounds.warmup more whose
 * samples are dropped. Ends early, after a whole round, when @rounds.budget_s seconds (0: none)
 * are over.
 * Returns 0, or the first error of a variant.
 */
struct rounds {
	unsigned int count, warmup;
	unsigned int budget_s;
};
int series_interleave(const struct variant *variants, size_t n, struct rounds rounds,
		      struct thaw_err *err);
