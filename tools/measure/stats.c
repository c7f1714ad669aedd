/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void stats_sort(double *values, size_t n)
{
	if (n > 1)
		qsort(values, n, sizeof(*values), by_value);
}

/* The rank, from 1, of a percentile among @n. */
static size_t rank_of(size_t n, unsigned int percent)
{
	size_t rank = (n * percent + 99) / 100;

	return rank > 0 ? rank : 1;
}

double stats_percentile(const double *sorted, size_t n, unsigned int percent)
{
	return sorted[rank_of(n, percent) - 1];
}

struct stats stats_of(const double *values, size_t n)
{
	double *sorted = n > 0 ? malloc(n * sizeof(*sorted)) : NULL;
	struct stats s = { 0 };

	if (!sorted)
		return s;
	memcpy(sorted, values, n * sizeof(*sorted));
	stats_sort(sorted, n);
	s = (struct stats){
		.n = n,
		.p50 = stats_percentile(sorted, n, 50),
		.p90 = stats_percentile(sorted, n, 90),
		.p99 = stats_percentile(sorted, n, 99),
		.max = sorted[n - 1],
	};
	free(sorted);
	return s;
}

/* splitmix64, Vigna 2015: any seed is good, and nothing here is secret. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/*
 * The percentile of one resample. The values are sorted, so it is enough to count how often
 * each was drawn, and to walk up to the rank: linear, without sorting again.
 */
static double resample(const struct quantile *q, uint32_t *counts, uint64_t *state)
{
	size_t left = rank_of(q->n, q->percent), i = 0;

	memset(counts, 0, q->n * sizeof(*counts));
	for (size_t k = 0; k < q->n; k++)
		counts[(size_t)(((unsigned __int128)draw(state) * q->n) >> 64)]++;
	while (counts[i] < left)
		left -= counts[i++];
	return q->sorted[i];
}

int stats_ratio(struct ratio *r, struct quantile over, struct quantile under, uint64_t seed)
{
	struct work {
		double ratios[STATS_RESAMPLES];
		uint32_t counts[];
	};
	auto_free struct work *work = NULL;
	double base;

	if (over.n == 0 || under.n == 0)
		return -EDOM;
	base = stats_percentile(under.sorted, under.n, under.percent);
	if (base <= 0)
		return -EDOM;
	work = malloc(sizeof(*work) + MAX(over.n, under.n) * sizeof(work->counts[0]));
	if (!work)
		return -ENOMEM;
	for (size_t i = 0; i < STATS_RESAMPLES; i++) {
		double up = resample(&over, work->counts, &seed);
		double down = resample(&under, work->counts, &seed);

		work->ratios[i] = up / (down > 0 ? down : base);
	}
	stats_sort(work->ratios, STATS_RESAMPLES);
	*r = (struct ratio){
		.value = stats_percentile(over.sorted, over.n, over.percent) / base,
		.low = work->ratios[STATS_RESAMPLES * 25 / 1000],
		.high = work->ratios[STATS_RESAMPLES * 975 / 1000 - 1],
	};
	return 0;
}
