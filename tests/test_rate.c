/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "devices/rate.h"

#define T0 (100 * NSEC_PER_SEC)

static struct rate rate;
static struct rate_state s;

static void begin(uint64_t size, uint64_t burst, uint32_t refill_ms)
{
	const struct rate_limit limit = { .size = size,
					  .burst = burst,
					  .refill_ms = refill_ms };

	rate_init(&rate, &s, &limit, T0);
}

Test(rate, without_a_limit_nobody_waits)
{
	begin(0, 0, 0);
	for (int i = 0; i < 10; i++) {
		cr_expect(eq(u64, rate_wait(&rate, &s, T0), 0));
		rate_take(&rate, &s, UINT64_MAX);
	}
}

Test(rate, a_full_bucket_then_as_fast_as_it_fills)
{
	begin(100, 0, 1000);
	for (int i = 0; i < 100; i++) {
		cr_assert(eq(u64, rate_wait(&rate, &s, T0), 0));
		rate_take(&rate, &s, 1);
	}
	cr_expect(eq(u64, rate_wait(&rate, &s, T0), 10 * NSEC_PER_MSEC + 1));
	cr_expect(eq(u64, rate_wait(&rate, &s, T0 + 10 * NSEC_PER_MSEC), 0));
}

Test(rate, a_burst_is_there_once)
{
	begin(10, 5, 1000);
	rate_take(&rate, &s, 15);
	cr_expect(gt(u64, rate_wait(&rate, &s, T0), 0));
	cr_expect(eq(u64, rate_wait(&rate, &s, T0 + 100 * NSEC_PER_SEC), 0));
	rate_take(&rate, &s, 10);
	cr_expect(gt(u64, rate_wait(&rate, &s, T0 + 100 * NSEC_PER_SEC), 0));
}

Test(rate, more_than_fits_passes_and_is_paid_for)
{
	nsec_t now = T0;
	uint64_t taken = 0;

	begin(1000, 0, 100);
	while (now < T0 + 10 * NSEC_PER_SEC) {
		nsec_t wait = rate_wait(&rate, &s, now);

		now += wait;
		if (wait > 0)
			continue;
		rate_take(&rate, &s, 7777);
		taken += 7777;
	}
	/* 10,000 a second, for ten of them, and one request. */
	cr_expect(ge(u64, taken, 100000));
	cr_expect(le(u64, taken, 100000 + 1000 + 7777));
}

Test(rate, often_asked_it_loses_nothing)
{
	begin(3, 0, 1000); /* one in 333 ms, asked each 10 ms */
	rate_take(&rate, &s, 3);
	for (int i = 1; i < 34; i++)
		cr_assert(gt(u64, rate_wait(&rate, &s, T0 + i * 10 * NSEC_PER_MSEC), 0));
	cr_expect(eq(u64, rate_wait(&rate, &s, T0 + 340 * NSEC_PER_MSEC), 0));
}

Test(rate, a_loaded_state_owes_a_full_bucket_at_most)
{
	begin(10, 2, 1000);
	s = (struct rate_state){ .used = UINT64_MAX, .burst_left = UINT64_MAX };
	rate_load(&rate, &s, T0);
	cr_expect(eq(u64, s.used, 10));
	cr_expect(eq(u64, s.burst_left, 2));
	rate_take(&rate, &s, 2);
	cr_expect(le(u64, rate_wait(&rate, &s, T0), 100 * NSEC_PER_MSEC + 1));
}

Test(rate, a_new_limit_has_a_full_bucket_whatever_was_loaded)
{
	begin(10, 2, 1000);
	rate.limit.is_new = true;
	s = (struct rate_state){ .used = 7 };
	rate_load(&rate, &s, T0);
	cr_expect(eq(u64, s.used, 0));
	cr_expect(eq(u64, s.burst_left, 2));
}

Test(rate, the_largest_numbers_do_not_wrap)
{
	begin(UINT64_MAX, UINT64_MAX, UINT32_MAX);
	rate_take(&rate, &s, UINT64_MAX);
	rate_take(&rate, &s, UINT64_MAX);
	rate_take(&rate, &s, UINT64_MAX);
	cr_expect(gt(u64, rate_wait(&rate, &s, T0), 0));
	cr_expect(eq(u64, rate_wait(&rate, &s, UINT64_MAX), 0));
	begin(1, 0, UINT32_MAX);
	rate_take(&rate, &s, UINT64_MAX);
	cr_expect(eq(u64, rate_wait(&rate, &s, T0), UINT64_MAX), "for ever");
}
