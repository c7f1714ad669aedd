/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/clock.h"

#include <time.h>

const char *const phase_names[PHASE_COUNT] = {
	"request",	     "shell",	       "memory",   "state",
	"first_instruction", "first_response", "released", "torn_down",
};

static nsec_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (nsec_t)ts.tv_sec * NSEC_PER_SEC + (nsec_t)ts.tv_nsec;
}

nsec_t clock_monotonic(void)
{
	return clock_read(CLOCK_MONOTONIC);
}

nsec_t clock_realtime(void)
{
	return clock_read(CLOCK_REALTIME);
}

nsec_t clock_deadline(uint64_t timeout_ms)
{
	return timeout_ms > 0 ? clock_monotonic() + timeout_ms * NSEC_PER_MSEC : 0;
}

nsec_t clock_nearest(nsec_t a, nsec_t b)
{
	if (a == 0 || b == 0)
		return a + b;
	return a < b ? a : b;
}

struct clock_scale clock_scale_of(uint32_t khz)
{
	struct clock_scale s = { .shift = 32 };
	uint64_t mult = (1000000ull << 32) / khz;

	for (; mult > UINT32_MAX; mult >>= 1)
		s.shift--;
	s.mult = (uint32_t)mult;
	return s;
}

nsec_t clock_scale_ns(struct clock_scale s, uint64_t ticks)
{
	return (nsec_t)(((unsigned __int128)ticks * s.mult) >> s.shift);
}
