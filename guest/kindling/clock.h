/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - time from the mailbox and the TSC, without an exit. The monotonic clock never goes
 * back, also when the host moves it on at a restore; real time may jump there, and only there.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

uint64_t clock_mono_ns(void);
uint64_t clock_real_ns(void);

/* Does the clock @id show the time of day? Returns 1, 0, or -EINVAL: there is no such clock. */
int clock_is_real(uint64_t id);

call_fn clock_get;	/* clock_gettime */
call_fn clock_getres;	/* clock_getres */
call_fn clock_get_time; /* time */
call_fn clock_get_day;	/* gettimeofday */
