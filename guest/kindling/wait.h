/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wait.h - sleeping. Nothing happens to a program but the passing of time: there are no other
 * threads, no children, no interrupts. So a wait either has a time-out or never ends, and then
 * the program ends, with a line that says so.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

/* Come back when clock_mono_ns() has reached @end. */
void wait_until(uint64_t end);

/* The end of a program that waits for what cannot come; @what: the name of its call. */
_Noreturn void wait_forever(const struct regs *r, const char *what);

/* Sleep for as long as the struct timespec at the program's @addr says; @addr 0: for ever.
 * Returns 0, -EFAULT or -EINVAL. */
int64_t wait_timeout(const struct regs *r, uint64_t addr, const char *what);

call_fn wait_nanosleep; /* nanosleep */
call_fn wait_clock;	/* clock_nanosleep */
call_fn wait_futex;	/* futex */
