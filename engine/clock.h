/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - host time, guest time, and the stamps of one start.
 */
#pragma once

#include <stdint.h>

typedef uint64_t nsec_t; /* nanoseconds */

#define NSEC_PER_SEC  1000000000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_USEC 1000ull

nsec_t clock_monotonic(void); /* CLOCK_MONOTONIC */
nsec_t clock_realtime(void);  /* since 1970-01-01 UTC */

/* The clock_monotonic() value so many milliseconds from now; 0: 0, which is no deadline. */
nsec_t clock_deadline(uint64_t timeout_ms);

/* The first of two such values, of which either may be none. */
nsec_t clock_nearest(nsec_t a, nsec_t b);

/* ns = ticks * mult >> shift, for a counter of a known rate. */
struct clock_scale {
	uint32_t mult;
	uint32_t shift; /* at most 32 */
};

/* @khz: rate of the counter, not 0. The time that it gives is never more than the exact one,
 * and up to 8 GHz less by at most 1 part in 2^29. */
struct clock_scale clock_scale_of(uint32_t khz);
nsec_t clock_scale_ns(struct clock_scale s, uint64_t ticks);

/*
 * The stamps of one start, design order. Each is a clock_monotonic() value, 0 where it was
 * not taken. Writing one is a store: nothing on the start path formats or allocates.
 */
enum phase {
	PHASE_REQUEST,		 /* the start was asked for */
	PHASE_SHELL,		 /* a VM of the right shape is at hand */
	PHASE_MEMORY,		 /* guest memory attached */
	PHASE_STATE,		 /* vCPU and device state set, uniqueness applied */
	PHASE_FIRST_INSTRUCTION, /* by the guest's own rdtsc */
	PHASE_FIRST_RESPONSE,	 /* the reply is in the mailbox */
	PHASE_RELEASED,		 /* rewound, or nothing to do */
	PHASE_TORN_DOWN,	 /* VM closed, memory unmapped */
	PHASE_COUNT
};

extern const char
	*const phase_names[PHASE_COUNT]; /* "request", "shell", ... with underscores */

struct phases {
	nsec_t at[PHASE_COUNT];
};

/* NULL is allowed and drops the stamp. */
static inline void phase_mark(struct phases *p, enum phase phase)
{
	if (p)
		p->at[phase] = clock_monotonic();
}
