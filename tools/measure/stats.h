/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - percentiles, and how sure one can be of a ratio of two of them.
 * Values are of any unit; nothing here allocates but stats_ratio.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Ascending, in place. */
void stats_sort(double *values, size_t n);

/*
 * stats_percentile - nearest rank: the smallest value that at least @percent of all do not
 * exceed. @sorted: ascending, @n at least 1; @percent: 0 to 100.
 */
double stats_percentile(const double *sorted, size_t n, unsigned int percent);

struct stats {
	size_t n; /* 0: the others are 0, too */
	double p50, p90, p99, max;
};

/* Of values in any order. A copy is sorted; n is 0 where there is no memory for it. */
struct stats stats_of(const double *values, size_t n);

/* One percentile of one set of values. */
struct quantile {
	const double *sorted;
	size_t n; /* at least 1 */
	unsigned int percent;
};

/* A ratio, and the interval in which 95 of 100 repeated measurements would put it. */
struct ratio {
	double value, low, high;
};

/*
 * stats_ratio - @over divided by @under, with a percentile bootstrap: both sets are drawn
 * again STATS_RESAMPLES times from themselves, with replacement, independently.
 * @seed: the same seed gives the same interval.
 * Returns 0 or -ENOMEM; -EDOM a set without values, or @under is 0.
 */
#define STATS_RESAMPLES 1000u
int stats_ratio(struct ratio *r, struct quantile over, struct quantile under, uint64_t seed);
