/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_timer.c - a timer that was armed before the freeze comes after the thaw, neither lost nor
 * early (tests/guest/kernels/timer.c), for both timers of the local APIC.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/guest/kernels/timer.h"
#include "tests/helpers_kvm.h"

/* Wait long enough that a timer which kept running in the freeze would be overdue. */
#define GAP_US 200000

static void freeze_timer(struct frozen *f, const char *which)
{
	static struct booted b;

	booted_kernel(&b, "tests/timer.elf", which);
	frozen_from(f, &b.machine);
	booted_free(&b);
}

static struct timer_report ask_timer(struct machine *m)
{
	struct invocation inv = { .deadline = clock_monotonic() + 20 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	struct timer_report r = { 0 };
	struct err err = { 0 };

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, sizeof(r)));
	memcpy(&r, reply.data, sizeof(r));
	return r;
}

/* @tsc_shift: added to the saved TSC, as if the host had been up for another time. */
static void check_timer(const char *which, int64_t tsc_shift, const struct tier *tier)
{
	static struct frozen f;
	static struct clone c;
	struct timer_report r;
	uint64_t left, ran, left_ns;
	nsec_t began, took_ns;
	struct vcpu_tsc *tsc;

	freeze_timer(&f, which);
	tsc = &f.template.state.vcpus[0].tsc;
	tsc->value += (uint64_t)tsc_shift;
	f.template.state.vcpus[0].msrs.entries[0].data += (uint64_t)tsc_shift;
	if (tsc->deadline != 0)
		tsc->deadline += (uint64_t)tsc_shift;
	usleep(GAP_US);
	began = clock_monotonic();
	clone_make(&c, &f, tier);
	r = ask_timer(&c.machine);
	took_ns = clock_monotonic() - began;

	/* What was left of the delay when the state was saved, by which the guest had run at
	 * least until frozen_tsc. */
	left = TIMER_DELAY_TICKS - (tsc->value - (uint64_t)tsc_shift - r.armed_tsc);
	ran = r.fired_tsc - r.thawed_tsc;
	cr_expect(lt(u64, left, TIMER_DELAY_TICKS));
	/* The restore itself is in took_ns: a slow host makes it longer, never shorter. A fifth is
	 * more than enough for clocks that do not tick alike. */
	left_ns = left * 1000000 / tsc->khz;
	cr_expect(gt(i64, took_ns, (nsec_t)(left_ns - left_ns / 5)),
		  "%s came within %ld ns of the restore, %lu left", which, took_ns, left_ns);
	cr_expect(lt(u64, ran, left + 4 * TIMER_DELAY_TICKS), "%s came late", which);
	clone_free(&c);
	frozen_free(&f);
}

Test(timer, tsc_deadline_is_neither_lost_nor_early, .timeout = 60)
{
	for (const struct tier *const *t = frozen_tiers(); *t; t++)
		check_timer("deadline", 0, *t);
}

Test(timer, tsc_deadline_with_a_saved_tsc_beyond_the_hosts, .timeout = 60)
{
	check_timer("deadline", INT64_C(1) << 52, &tier_map);
}

/* What is left when the machine is restored is left when its event comes, however late that is. */
Test(timer, tsc_deadline_waits_as_long_as_the_machine_does, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;
	const struct vcpu_tsc *tsc;
	struct timer_report r;
	uint64_t left;

	freeze_timer(&f, "deadline");
	clone_make(&c, &f, &tier_map);
	usleep(GAP_US);
	r = ask_timer(&c.machine);
	tsc = &f.template.state.vcpus[0].tsc;
	left = tsc->deadline - tsc->value;
	cr_expect(gt(u64, r.fired_tsc - r.thawed_tsc, left - left / 5), "%lu of %lu ticks",
		  r.fired_tsc - r.thawed_tsc, left);
	clone_free(&c);
	frozen_free(&f);
}

Test(timer, apic_count_is_neither_lost_nor_early, .timeout = 60)
{
	for (const struct tier *const *t = frozen_tiers(); *t; t++)
		check_timer("count", 0, *t);
}
