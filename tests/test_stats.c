/* SPDX-License-Identifier: Apache-2.0 */
/* test_stats.c - percentiles and bootstrap against known answers, and runs in turn. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "tools/measure/series.h"
#include "tools/measure/stats.h"
#include "tools/thaw/cmd.h"

Test(stats, percentiles_are_nearest_ranks)
{
	double values[100];
	struct stats s;

	for (int i = 0; i < 100; i++)
		values[i] = 100 - i; /* 1 to 100, backwards */
	s = stats_of(values, 100);
	cr_expect(eq(sz, s.n, 100));
	cr_expect(eq(dbl, s.p50, 50));
	cr_expect(eq(dbl, s.p90, 90));
	cr_expect(eq(dbl, s.p99, 99));
	cr_expect(eq(dbl, s.max, 100));
	cr_expect(eq(dbl, values[0], 100), "the caller's order stays");
}

Test(stats, few_values_have_percentiles_too)
{
	const double one[] = { 7 }, three[] = { 3, 1, 2 };
	const double sorted[] = { 1, 2, 3, 4 };

	cr_expect(eq(dbl, stats_of(one, 1).p50, 7));
	cr_expect(eq(dbl, stats_of(one, 1).p99, 7));
	cr_expect(eq(dbl, stats_of(three, 3).p50, 2));
	cr_expect(eq(dbl, stats_of(three, 3).p90, 3));
	cr_expect(eq(sz, stats_of(three, 0).n, 0));
	cr_expect(eq(dbl, stats_percentile(sorted, 4, 0), 1));
	cr_expect(eq(dbl, stats_percentile(sorted, 4, 25), 1));
	cr_expect(eq(dbl, stats_percentile(sorted, 4, 26), 2));
	cr_expect(eq(dbl, stats_percentile(sorted, 4, 100), 4));
}

Test(stats, the_ratio_of_constants_has_an_interval_of_no_width)
{
	const double over[] = { 6, 6, 6, 6 }, under[] = { 2, 2, 2 };
	struct ratio r;

	cr_assert(eq(int,
		     stats_ratio(&r, (struct quantile){ over, 4, 50 },
				 (struct quantile){ under, 3, 50 }, 1),
		     0));
	cr_expect(eq(dbl, r.value, 3));
	cr_expect(eq(dbl, r.low, 3));
	cr_expect(eq(dbl, r.high, 3));
}

/* A normal distribution by the sum of twelve uniform ones, from a small generator. */
static double normal(uint64_t *state)
{
	double sum = 0;

	for (int i = 0; i < 12; i++) {
		*state = *state * 6364136223846793005ull + 1442695040888963407ull; /* Knuth */
		sum += (double)(*state >> 11) / 9007199254740992.0;		   /* 2^53 */
	}
	return sum - 6;
}

/*
 * The median of n values of a normal distribution has the standard error 1.2533 s / sqrt(n). At
 * n = 400, mean 100 and s = 10 that is 0.627, and relative to 100 the ratio of two such medians
 * has sqrt(2) * 0.00627 = 0.00886: its 95 % interval is 2 * 1.96 * 0.00886 = 0.0347 wide.
 */
Test(stats, the_interval_of_a_ratio_of_medians_is_as_wide_as_theory_says)
{
	double over[400], under[400], widths = 0;
	uint64_t state = 3;
	int covered = 0;

	for (int run = 0; run < 100; run++) {
		struct ratio r;

		for (int i = 0; i < 400; i++) {
			over[i] = 100 + 10 * normal(&state);
			under[i] = 100 + 10 * normal(&state);
		}
		stats_sort(over, 400);
		stats_sort(under, 400);
		cr_assert(eq(int,
			     stats_ratio(&r, (struct quantile){ over, 400, 50 },
					 (struct quantile){ under, 400, 50 }, (uint64_t)run),
			     0));
		cr_expect(le(dbl, r.low, r.value));
		cr_expect(ge(dbl, r.high, r.value));
		widths += (r.high - r.low) / 100;
		covered += r.low <= 1 && r.high >= 1;
	}
	cr_expect(ge(dbl, widths, 0.0347 * 0.8), "%f", widths);
	cr_expect(le(dbl, widths, 0.0347 * 1.2), "%f", widths);
	cr_expect(ge(int, covered, 88), "%d of 100", covered);
}

Test(stats, the_same_seed_gives_the_same_interval)
{
	double v[50];
	struct ratio a, b;

	for (int i = 0; i < 50; i++)
		v[i] = i + 1;
	cr_assert(eq(int,
		     stats_ratio(&a, (struct quantile){ v, 50, 99 },
				 (struct quantile){ v, 50, 50 }, 5),
		     0));
	cr_assert(eq(int,
		     stats_ratio(&b, (struct quantile){ v, 50, 99 },
				 (struct quantile){ v, 50, 50 }, 5),
		     0));
	cr_expect(eq(dbl, a.value, 2)); /* 50 / 25 */
	cr_expect(eq(dbl, a.low, b.low));
	cr_expect(eq(dbl, a.high, b.high));
	cr_expect(lt(dbl, a.low, a.high));
}

Test(stats, there_is_no_ratio_to_nothing)
{
	const double v[] = { 1 }, zero[] = { 0 };
	struct ratio r;

	cr_expect(eq(int,
		     stats_ratio(&r, (struct quantile){ v, 1, 50 },
				 (struct quantile){ v, 0, 50 }, 1),
		     -EDOM));
	cr_expect(eq(int,
		     stats_ratio(&r, (struct quantile){ v, 0, 50 },
				 (struct quantile){ v, 1, 50 }, 1),
		     -EDOM));
	cr_expect(eq(int,
		     stats_ratio(&r, (struct quantile){ v, 1, 50 },
				 (struct quantile){ zero, 1, 50 }, 1),
		     -EDOM));
}

/* ---- runs in turn ---- */

static char trace[64];

static int note(void *arg, double *value, struct thaw_err *err)
{
	size_t n = strlen(trace);

	(void)err;
	trace[n] = *(const char *)arg;
	trace[n + 1] = '\0';
	*value = (double)n;
	return 0;
}

static int fail(void *arg, double *value, struct thaw_err *err)
{
	(void)arg;
	(void)value;
	return err_set(cmd_err(err), EIO, "it broke");
}

Test(series, variants_take_turns_and_warm_up_is_dropped)
{
	static struct series_list list;
	struct series *a = series_new(&list, "a_us", "a"), *b = series_new(&list, "b_us", "b");
	const struct variant v[] = { { note, "a", a, 0 }, { note, "b", b, 2 } };
	struct thaw_err err = { 0 };

	cr_assert(eq(int, series_interleave(v, 2, (struct rounds){ 4, 1, 0 }, &err), 0));
	cr_expect(eq(str, trace, "abaabaab")); /* b in every second round */
	cr_expect(eq(sz, a->n, 4));
	cr_expect(eq(sz, b->n, 2));
	cr_expect(eq(dbl, a->values[0], 2));
	series_fini(&list);
}

Test(series, the_first_error_ends_a_run)
{
	static struct series_list list;
	struct series *a = series_new(&list, "a_us", "a");
	const struct variant v[] = { { note, "a", a, 0 }, { fail, NULL, a, 0 } };
	struct thaw_err err = { 0 };

	cr_expect(eq(int, series_interleave(v, 2, (struct rounds){ 4, 0, 0 }, &err), -EIO));
	cr_expect(eq(str, err.text, "it broke"));
	cr_expect(eq(sz, a->n, 1));
	series_fini(&list);
}

Test(series, grow_and_keep_every_sample)
{
	static struct series_list list;
	struct series *s = series_new(&list, "x_us", "x");

	for (int i = 0; i < 5000; i++)
		cr_assert(eq(int, series_add(s, i), 0));
	cr_expect(eq(sz, s->n, 5000));
	cr_expect(eq(dbl, series_stats(s).max, 4999));
	cr_expect(eq(dbl, series_stats(s).p50, 2499));
	series_fini(&list);
}
