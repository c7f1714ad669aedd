/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tools/thaw/samples.h"

#define START 1000000000ull

static struct samples samples;

static void teardown(void)
{
	samples_fini(&samples);
}

TestSuite(samples, .fini = teardown);

/* Starts whose first response came @ns after the request, one for each of @n. */
static void add_responses(const nsec_t *ns, uint32_t n)
{
	cr_assert(eq(int, samples_init(&samples, n), 0));
	for (uint32_t i = 0; i < n; i++) {
		struct phases p = { .at = { [PHASE_REQUEST] = START + i } };

		p.at[PHASE_FIRST_RESPONSE] = START + i + ns[i];
		samples_add(&samples, &p);
	}
}

Test(samples, percentiles_are_by_nearest_rank)
{
	static nsec_t ns[1000];
	/* of the values 1..n in any order: the smallest one that n * p / 100 do not exceed */
	static const struct {
		uint32_t n;
		nsec_t p50, p90, p99;
	} cases[] = {
		{ 1, 1, 1, 1 },		{ 2, 1, 2, 2 },		 { 3, 2, 3, 3 },
		{ 10, 5, 9, 10 },	{ 11, 6, 10, 11 },	 { 99, 50, 90, 99 },
		{ 100, 50, 90, 99 },	{ 101, 51, 91, 100 },	 { 199, 100, 180, 198 },
		{ 200, 100, 180, 198 }, { 1000, 500, 900, 990 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct percentiles p;

		/* 7 divides no n: every value comes once, unsorted */
		for (uint32_t k = 0; k < cases[i].n; k++)
			ns[k] = (uint64_t)k * 7 % cases[i].n + 1;
		add_responses(ns, cases[i].n);
		p = samples_percentiles(&samples, PHASE_FIRST_RESPONSE);
		cr_expect(eq(u32, p.n, cases[i].n));
		cr_expect(eq(u64, p.p50, cases[i].p50), "n %u", cases[i].n);
		cr_expect(eq(u64, p.p90, cases[i].p90), "n %u", cases[i].n);
		cr_expect(eq(u64, p.p99, cases[i].p99), "n %u", cases[i].n);
		cr_expect(eq(u64, p.max, cases[i].n), "n %u", cases[i].n);
		samples_fini(&samples);
	}
}

Test(samples, starts_without_a_stamp_are_left_out_of_it)
{
	static const nsec_t ns[] = { 100, 200, 300, 400 };
	struct percentiles p;

	add_responses(ns, 4);
	samples.all[0].at[PHASE_MEMORY] = samples.all[0].at[PHASE_REQUEST] + 5;
	samples.all[3].at[PHASE_MEMORY] = samples.all[3].at[PHASE_REQUEST] + 7;
	p = samples_percentiles(&samples, PHASE_MEMORY);
	cr_expect(eq(u32, p.n, 2));
	cr_expect(eq(u64, p.p50, 5));
	cr_expect(eq(u64, p.max, 7));
	p = samples_percentiles(&samples, PHASE_RELEASED);
	cr_expect(eq(u32, p.n, 0));
	cr_expect(eq(u64, p.p50 | p.p90 | p.p99 | p.max, 0));
}

Test(samples, no_starts_at_all_are_no_samples)
{
	cr_assert(eq(int, samples_init(&samples, 1), 0));
	cr_expect(eq(u32, samples_percentiles(&samples, PHASE_STATE).n, 0));
}

Test(samples, starts_beyond_the_room_are_dropped)
{
	struct phases p = { .at = { [PHASE_REQUEST] = 1, [PHASE_STATE] = 2 } };

	cr_assert(eq(int, samples_init(&samples, 2), 0));
	for (int i = 0; i < 5; i++)
		samples_add(&samples, &p);
	cr_expect(eq(u32, samples.n, 2));
	cr_expect(eq(u32, samples_percentiles(&samples, PHASE_STATE).n, 2));
}

static double us(const json_t *stamp, const char *key)
{
	return json_real_value(json_object_get(stamp, key));
}

Test(samples, json_has_the_stamps_that_were_taken_in_microseconds)
{
	static const nsec_t ns[] = { 1234567, 2000000 };
	json_t *doc, *stamp;

	add_responses(ns, 2);
	doc = samples_json(&samples);
	cr_assert(eq(sz, json_object_size(doc), 1));
	stamp = json_object_get(doc, "first_response");
	cr_assert(ne(ptr, stamp, NULL));
	cr_expect(eq(sz, json_object_size(stamp), 4));
	cr_expect(epsilon_eq(dbl, us(stamp, "p50_us"), 1234.567, 1e-6));
	cr_expect(epsilon_eq(dbl, us(stamp, "p90_us"), 2000.0, 1e-6));
	cr_expect(epsilon_eq(dbl, us(stamp, "p99_us"), 2000.0, 1e-6));
	cr_expect(epsilon_eq(dbl, us(stamp, "max_us"), 2000.0, 1e-6));
	json_decref(doc);
}
