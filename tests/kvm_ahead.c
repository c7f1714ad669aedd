/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_ahead.c - clones that are made before they are wanted. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "engine/clock.h"
#include "tests/helpers_nest.h"

static struct nest n;
static struct thaw_err err;

static void setup(void)
{
	nest_begin(&n, "echo");
}

static void teardown(void)
{
	nest_free(&n);
}

TestSuite(ahead, .init = setup, .fini = teardown, .timeout = 120);

static void check_tier(const char *tier)
{
	struct thaw_clone *clone;
	struct thaw_stamps stamps;
	struct thaw_reply reply = { 0 };
	nsec_t made;

	nest_take_tier(&n, tier);
	cr_assert(eq(int, thaw_clone_make(&clone, n.template, NULL, NULL, &err), 0), "%s: %s",
		  tier, err.text);
	made = clock_monotonic();
	cr_assert(eq(int, thaw_clone_start(clone, &err), 0), "%s: %s", tier, err.text);
	cr_assert(eq(int, thaw_clone_invoke(clone, "ping", 4, 0, &reply, &err), 0), "%s: %s",
		  tier, err.text);
	cr_expect(eq(sz, reply.len, 4));
	cr_expect(eq(int, memcmp(reply.data, "ping", 4), 0));
	thaw_clone_stamps(clone, &stamps);
	cr_expect(ge(u64, stamps.request, made), "%s: the clock runs from the start", tier);
	cr_expect(ge(u64, stamps.memory, stamps.shell));
	cr_expect(gt(u64, stamps.first_response, stamps.state));
	thaw_clone_close(clone);
}

Test(ahead, every_tier_can_be_made_first_and_started_later)
{
	static const char *const some[] = { "map", "warm", "ready", "lazy", "eager" };

	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		check_tier(some[i]);
}

Test(ahead, nothing_is_asked_of_a_clone_before_it_starts_and_it_starts_once)
{
	struct thaw_snapshot *snapshot;
	struct thaw_clone *clone;
	struct thaw_reply reply;

	cr_assert(eq(int, thaw_clone_make(&clone, n.template, NULL, NULL, &err), 0), "%s",
		  err.text);
	cr_expect(eq(int, thaw_clone_invoke(clone, "ping", 4, 0, &reply, &err), -EBUSY));
	cr_expect(eq(int, thaw_clone_rewind(clone, 0, &err), -EINVAL));
	cr_expect(eq(str, err.text, "the clone was not started yet"));
	cr_expect(eq(int, thaw_snapshot_begin(&snapshot, clone, &err), -EINVAL));
	cr_expect(eq(ptr, (void *)thaw_clone_crash(clone), NULL));
	cr_assert(eq(int, thaw_clone_start(clone, &err), 0), "%s", err.text);
	cr_expect(eq(int, thaw_clone_start(clone, &err), -EINVAL));
	cr_expect(eq(str, err.text, "the clone was started before"));
	cr_assert(eq(int, thaw_clone_invoke(clone, "ping", 4, 0, &reply, &err), 0), "%s",
		  err.text);
	thaw_clone_close(clone);
}

Test(ahead, a_clone_that_was_never_started_leaves_nothing)
{
	struct thaw_clone *clone;
	int fds, threads;

	nest_take_tier(&n, "ready");
	cr_assert(eq(int, thaw_clone_make(&clone, n.template, NULL, NULL, &err), 0), "%s",
		  err.text);
	thaw_clone_close(clone);
	fds = count_entries("/proc/self/fd");
	threads = count_entries("/proc/self/task");
	for (int i = 0; i < 5; i++) {
		cr_assert(eq(int, thaw_clone_make(&clone, n.template, NULL, NULL, &err), 0));
		thaw_clone_close(clone);
	}
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
	cr_expect(eq(int, count_entries("/proc/self/task"), threads));
}

/* Linux 6.14 shows the thread that KVM makes for a VM among those of the process. */
Test(ahead, kvm_has_its_thread_before_the_clone_is_started)
{
	struct thaw_clone *clone;
	struct thaw_reply reply;
	int threads;

	cr_assert(eq(int, thaw_clone_make(&clone, n.template, NULL, NULL, &err), 0), "%s",
		  err.text);
	threads = count_entries("/proc/self/task");
	cr_assert(eq(int, thaw_clone_start(clone, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_clone_invoke(clone, "ping", 4, 0, &reply, &err), 0), "%s",
		  err.text);
	cr_expect(eq(int, count_entries("/proc/self/task"), threads));
	thaw_clone_close(clone);
}
