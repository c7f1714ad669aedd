/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/wait.h"

#include <linux/errno.h>
#include <linux/futex.h>
#include <linux/signal.h>
#include <linux/time.h>

#include "guest/kindling/clock.h"
#include "guest/kindling/crash.h"
#include "guest/kindling/log.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/user.h"

#define NS_PER_SEC 1000000000ull
#define SPIN_NS	   20000ull	 /* ours: about what it costs to ask the host */
#define LONGEST_S  0x100000000ll /* ours: 136 years; longer times are cut to it */

void wait_until(uint64_t end)
{
	for (uint64_t now; (now = clock_mono_ns()) < end;) {
		if (end - now < SPIN_NS) {
			__asm__ volatile("pause");
			continue;
		}
		mailbox()->sleep_ns = end - now;
		mailbox_ring(ABI_DOORBELL_SLEEP);
	}
}

void wait_forever(const struct regs *r, const char *what)
{
	log_line(
		"%s: waits without a time-out, and nobody is there to end it: no other thread, "
		"no other process",
		what);
	crash_signal(r, SIGABRT);
}

/* The struct timespec at @addr in nanoseconds. Returns 0, -EFAULT or -EINVAL. */
static int64_t timespec_get(uint64_t addr, uint64_t *ns)
{
	int64_t ts[2];

	if (user_get(ts, addr, sizeof(ts)))
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (int64_t)NS_PER_SEC)
		return -EINVAL;
	*ns = (uint64_t)(ts[0] < LONGEST_S ? ts[0] : LONGEST_S) * NS_PER_SEC + (uint64_t)ts[1];
	return 0;
}

/* When clock_mono_ns() has to be when a clock shows @at. */
static uint64_t mono_of(uint64_t at, int real)
{
	uint64_t now = real ? clock_real_ns() : clock_mono_ns();

	return clock_mono_ns() + (at > now ? at - now : 0);
}

int64_t wait_timeout(const struct regs *r, uint64_t addr, const char *what)
{
	uint64_t ns;
	int64_t ret;

	if (!addr)
		wait_forever(r, what);
	ret = timespec_get(addr, &ns);
	if (ret == 0)
		wait_until(clock_mono_ns() + ns);
	return ret;
}

/* Nothing interrupts a sleep, so the time that was left is never told. */
int64_t wait_nanosleep(const struct regs *r)
{
	return r->rdi ? wait_timeout(r, r->rdi, "nanosleep") : -EFAULT;
}

/* clock_nanosleep(clock, flags, time, left) */
int64_t wait_clock(const struct regs *r)
{
	int real = clock_is_real(r->rdi);
	uint64_t ns;
	int64_t ret;

	if (real < 0)
		return real;
	ret = timespec_get(r->rdx, &ns);
	if (ret < 0)
		return ret;
	wait_until(r->rsi & TIMER_ABSTIME ? mono_of(ns, real) : clock_mono_ns() + ns);
	return 0;
}

/* A wait for @r's word to change: only time can end it. */
static int64_t futex_wait(const struct regs *r, int absolute, int real)
{
	uint32_t value;
	uint64_t ns;
	int64_t ret;

	if (r->rdi % sizeof(value))
		return -EINVAL;
	if (user_get(&value, r->rdi, sizeof(value)))
		return -EFAULT;
	if (value != (uint32_t)r->rdx)
		return -EAGAIN;
	if (!r->r10)
		wait_forever(r, "futex");
	ret = timespec_get(r->r10, &ns);
	if (ret < 0)
		return ret;
	wait_until(absolute ? mono_of(ns, real) : clock_mono_ns() + ns);
	return -ETIMEDOUT;
}

/* futex(word, op, value, timeout or count, word2, value3): nobody else ever waits. */
int64_t wait_futex(const struct regs *r)
{
	uint32_t value;

	switch ((int32_t)r->rsi & FUTEX_CMD_MASK) {
	case FUTEX_WAIT:
		return futex_wait(r, 0, 0);
	case FUTEX_WAIT_BITSET:
		return r->r9 & 0xffffffffu
			       ? futex_wait(r, 1, (r->rsi & FUTEX_CLOCK_REALTIME) != 0)
			       : -EINVAL;
	case FUTEX_CMP_REQUEUE:
		if (user_get(&value, r->rdi, sizeof(value)))
			return -EFAULT;
		return value == (uint32_t)r->r9 ? 0 : -EAGAIN;
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_REQUEUE:
		return r->rdi % sizeof(value) ? -EINVAL : 0;
	default:
		return -ENOSYS;
	}
}
