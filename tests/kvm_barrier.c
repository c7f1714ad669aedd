/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_barrier.c - a guest that sets state up, is frozen, and checks itself after each restore
 * (tests/guest/barrier.c): under every tier, over generations, with a TSC from the future.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_kvm.h"

struct answer {
	char verdict[80];
	unsigned long long random, mono_gap_ns, real_ns;
};

static struct answer ask(struct machine *m)
{
	char *reply = machine_ask(m, "go");
	struct answer a = { 0 };
	char *random = strstr(reply, " random=");

	cr_assert(ne(ptr, random, NULL), "%s", reply);
	snprintf(a.verdict, sizeof(a.verdict), "%.*s", (int)(random - reply), reply);
	cr_assert(eq(int,
		     sscanf(random, " random=%llx mono_gap_ns=%llu real_ns=%llu", &a.random,
			    &a.mono_gap_ns, &a.real_ns),
		     3));
	free(reply);
	return a;
}

Test(barrier, every_tier_keeps_everything, .timeout = 60)
{
	static struct frozen f;
	static struct clone c;

	frozen_make(&f, guest_path("tests/barrier"));
	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		for (int event = 0; event < 3; event++) {
			struct answer a;

			if (event == 0)
				clone_make(&c, &f, *t);
			a = ask(&c.machine);
			cr_expect(eq(str, a.verdict, "ok"), "tier %s", (*t)->name);
		}
		clone_free(&c);
	}
	frozen_free(&f);
}

/* How memory comes is the test's above: where each takes long, one that maps and one that does not
 * are enough here. */
static bool is_spared(const struct tier *tier)
{
	return slow() > 1 && tier != &tier_map && tier != &tier_lazy;
}

Test(barrier, three_generations_of_images_of_restored_machines, .timeout = 120)
{
	static struct frozen f[4];
	static struct clone c;

	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		if (is_spared(*t))
			continue;
		frozen_bare(&f[0], guest_path("tests/barrier"));
		for (int g = 0; g < 3; g++) {
			clone_make(&c, &f[g], *t);
			cr_expect(eq(str, ask(&c.machine).verdict, "ok"), "tier %s, %d",
				  (*t)->name, g);
			frozen_from(&f[g + 1], &c.machine);
			/* The machine that was saved goes on as if nothing had been. */
			cr_expect(eq(str, ask(&c.machine).verdict, "ok"), "tier %s, %d",
				  (*t)->name, g);
			clone_free(&c);
		}
		clone_make(&c, &f[3], *t);
		cr_expect(eq(str, ask(&c.machine).verdict, "ok"));
		clone_free(&c);
		for (int g = 0; g < 4; g++)
			frozen_free(&f[g]);
	}
}

Test(barrier, clones_draw_different_randomness_and_know_the_time, .timeout = 60)
{
	static struct frozen f;
	static struct clone a, b;
	struct answer x, y;
	nsec_t before, after;

	frozen_bare(&f, guest_path("tests/barrier"));
	clone_make(&a, &f, &tier_map);
	clone_make(&b, &f, &tier_map);
	before = clock_realtime();
	x = ask(&a.machine);
	y = ask(&b.machine);
	after = clock_realtime();
	cr_expect(ne(u64, x.random, y.random));
	/* CLOCK_REALTIME is now, give or take the rounding of the clock's scale. */
	cr_expect(ge(u64, x.real_ns, before - NSEC_PER_MSEC));
	cr_expect(le(u64, y.real_ns, after + NSEC_PER_MSEC));
	clone_free(&a);
	clone_free(&b);
	frozen_free(&f);
}

/* CLOCK_MONOTONIC goes on from the freeze: it neither goes back nor jumps over the gap. */
static void check_clock_with_tsc(int64_t shift)
{
	static struct frozen f;
	static struct clone c;
	struct answer a;

	frozen_bare(&f, guest_path("tests/barrier"));
	f.template.state.vcpus[0].tsc.value += (uint64_t)shift;
	f.template.state.vcpus[0].msrs.entries[0].data += (uint64_t)shift; /* IA32_TSC */
	usleep(300000);
	clone_make(&c, &f, &tier_map);
	a = ask(&c.machine);
	cr_expect(eq(str, a.verdict, "ok"));
	/* Between the guest's two looks at the clock: what it ran before the freeze and after
	 * it, and saving; by far less than the 300 ms of the gap. */
	cr_expect(lt(u64, a.mono_gap_ns, 250 * NSEC_PER_MSEC));
	clone_free(&c);
	frozen_free(&f);
}

Test(barrier, the_clock_goes_on_from_the_freeze, .timeout = 60)
{
	check_clock_with_tsc(0);
}

Test(barrier, a_saved_tsc_beyond_the_hosts_does_no_harm, .timeout = 60)
{
	check_clock_with_tsc(INT64_C(1) << 52); /* weeks of uptime ahead */
}
