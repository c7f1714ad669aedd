/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/util.h"

typedef unsigned __int128 wide;

/* The scaled time may lag behind the exact one by 1 part in 2^29, and never leads. */
static void check_scale(uint32_t khz, uint64_t ticks)
{
	struct clock_scale s = clock_scale_of(khz);
	uint64_t exact = (uint64_t)((wide)ticks * 1000000 / khz);
	uint64_t got = clock_scale_ns(s, ticks);

	cr_expect(le(u32, s.shift, 32), "%u kHz", khz);
	cr_expect(le(u64, got, exact), "%u kHz, %" PRIu64 " ticks", khz, ticks);
	cr_expect(le(u64, exact - got, (exact >> 29) + 1), "%u kHz, %" PRIu64 " ticks", khz,
		  ticks);
}

Test(clock, a_scale_is_right_for_every_rate)
{
	static const uint32_t rates[] = { 1,	   7,	    999,     1000,    24000,   999999,
					  1000000, 1000001, 1999999, 2000000, 2893202, 3999999,
					  4000000, 4000001, 5200000, 8000000 };

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t year = (uint64_t)rates[i] * 1000 * 86400 * 365;

		check_scale(rates[i], 0);
		check_scale(rates[i], 1);
		check_scale(rates[i], (uint64_t)rates[i] * 1000);
		check_scale(rates[i], year);
		check_scale(rates[i], 100 * year);
	}
}

Test(clock, rates_that_divide_evenly_are_exact)
{
	cr_expect(eq(u64, clock_scale_ns(clock_scale_of(1000000), 123456789012345678),
		     123456789012345678));
	cr_expect(eq(u64, clock_scale_ns(clock_scale_of(4000000), UINT64_C(1) << 62),
		     UINT64_C(1) << 60));
	cr_expect(eq(u64, clock_scale_ns(clock_scale_of(1), 5), 5000000));
}

Test(clock, the_product_does_not_overflow_64_bits)
{
	/* 200 years at 2.9 GHz: 63 bits of ticks, 31 bits of factor. */
	check_scale(2900000, UINT64_C(1) << 63);
	check_scale(8000000, UINT64_MAX);
	cr_expect(eq(u64, clock_scale_ns((struct clock_scale){ UINT32_MAX, 32 }, UINT64_MAX),
		     (uint64_t)(((wide)UINT64_MAX * UINT32_MAX) >> 32)));
}

Test(clock, every_phase_has_a_name_of_its_own)
{
	for (int i = 0; i < PHASE_COUNT; i++) {
		cr_assert(ne(ptr, (void *)phase_names[i], NULL), "phase %d", i);
		cr_expect(eq(sz, strspn(phase_names[i], "abcdefghijklmnopqrstuvwxyz_"),
			     strlen(phase_names[i])));
		for (int k = 0; k < i; k++)
			cr_expect(ne(str, (char *)phase_names[i], (char *)phase_names[k]));
	}
	cr_expect(eq(str, (char *)phase_names[PHASE_REQUEST], "request"));
	cr_expect(eq(str, (char *)phase_names[PHASE_FIRST_RESPONSE], "first_response"));
	cr_expect(eq(str, (char *)phase_names[PHASE_TORN_DOWN], "torn_down"));
}

Test(clock, a_mark_is_now_and_null_drops_it)
{
	struct phases p = { 0 };
	nsec_t before = clock_monotonic();

	phase_mark(&p, PHASE_MEMORY);
	phase_mark(NULL, PHASE_MEMORY);
	cr_expect(ge(u64, p.at[PHASE_MEMORY], before));
	cr_expect(le(u64, p.at[PHASE_MEMORY], clock_monotonic()));
	cr_expect(eq(u64, p.at[PHASE_STATE], 0));
}

Test(clock, clocks_move_and_the_real_one_is_of_this_century)
{
	nsec_t mono = clock_monotonic(), real = clock_realtime();

	usleep(2000);
	cr_expect(ge(u64, clock_monotonic() - mono, 2 * NSEC_PER_MSEC));
	cr_expect(gt(u64, clock_realtime(), real));
	cr_expect(gt(u64, real, 1700000000 * NSEC_PER_SEC)); /* November 2023 */
}

Test(clock, a_deadline_is_ahead_and_none_is_0)
{
	nsec_t before = clock_monotonic(), deadline = clock_deadline(UINT32_MAX);

	cr_expect(ge(u64, deadline, before + UINT32_MAX * NSEC_PER_MSEC));
	cr_expect(le(u64, deadline, clock_monotonic() + UINT32_MAX * NSEC_PER_MSEC));
	cr_expect(eq(u64, clock_deadline(0), 0));
}
