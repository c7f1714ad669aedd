/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/clock.h"

#include <linux/errno.h>
#include <linux/time.h>

#include "guest/kindling/mailbox.h"
#include "guest/kindling/user.h"

#define NS_PER_SEC 1000000000ull

static uint64_t generation; /* in which last_real was seen */
static uint64_t last_mono, last_real;

/* Nanoseconds since the host took its time. */
static uint64_t clock_elapsed(void)
{
	volatile struct abi_clock *c = &mailbox()->clock;
	uint32_t low, high;
	uint64_t tsc, base = c->tsc_base;

	/* lfence: not earlier than the program asked */
	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	tsc = (uint64_t)high << 32 | low;
	if (tsc < base)
		return 0;
	return (uint64_t)((unsigned __int128)(tsc - base) * c->mult >> c->shift);
}

uint64_t clock_mono_ns(void)
{
	uint64_t now = mailbox()->clock.mono_ns + clock_elapsed();

	if (now > last_mono)
		last_mono = now;
	return last_mono;
}

uint64_t clock_real_ns(void)
{
	uint64_t now = mailbox()->clock.real_ns + clock_elapsed();

	if (generation != mailbox()->generation) {
		generation = mailbox()->generation;
		last_real = 0;
	}
	if (now > last_real)
		last_real = now;
	return last_real;
}

/* The processor's time is that of the machine: nobody else runs here. */
int clock_is_real(uint64_t id)
{
	switch ((uint32_t)id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
		return 1;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_PROCESS_CPUTIME_ID:
	case CLOCK_THREAD_CPUTIME_ID:
		return 0;
	default:
		return -EINVAL;
	}
}

/* struct timespec with @ns at the program's @addr */
static int64_t clock_put(uint64_t addr, uint64_t ns)
{
	int64_t ts[2] = { (int64_t)(ns / NS_PER_SEC), (int64_t)(ns % NS_PER_SEC) };

	return user_put(addr, ts, sizeof(ts));
}

int64_t clock_get(const struct regs *r)
{
	int real = clock_is_real(r->rdi);

	if (real < 0)
		return real;
	return clock_put(r->rsi, real ? clock_real_ns() : clock_mono_ns());
}

int64_t clock_getres(const struct regs *r)
{
	int real = clock_is_real(r->rdi);

	if (real < 0)
		return real;
	return r->rsi ? clock_put(r->rsi, 1) : 0;
}

int64_t clock_get_time(const struct regs *r)
{
	int64_t seconds = (int64_t)(clock_real_ns() / NS_PER_SEC);

	if (r->rdi && user_put(r->rdi, &seconds, sizeof(seconds)))
		return -EFAULT;
	return seconds;
}

int64_t clock_get_day(const struct regs *r)
{
	uint64_t now = clock_real_ns();
	int64_t tv[2] = { (int64_t)(now / NS_PER_SEC), (int64_t)(now % NS_PER_SEC / 1000) };
	static const int32_t utc[2];

	if (r->rdi && user_put(r->rdi, tv, sizeof(tv)))
		return -EFAULT;
	return r->rsi ? user_put(r->rsi, utc, sizeof(utc)) : 0;
}
