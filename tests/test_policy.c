/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the pool policy, one by one. tests/test_policy_histories.c has them all at once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/helpers_policy.h"

#define MS NSEC_PER_MSEC

static struct world w;

/* ---- sticky ---- */

Test(policy, constant_load_touches_as_many_slots_as_it_needs)
{
	world_open_small(&w, 100);
	for (uint32_t load = 1; load <= 4; load++) {
		uint32_t f = world_add_plain(&w);
		uint64_t running[4];

		for (uint32_t i = 0; i < load; i++)
			running[i] = world_arrive(&w, f, 0);
		world_settle(&w);
		for (uint32_t i = 0; i < 1000; i++) {
			world_pass(&w, MS);
			world_reply_to(&w, running[i % load]);
			if (i % 2 == 0) /* else it comes while the slot is rewound */
				world_settle(&w);
			running[i % load] = world_arrive(&w, f, 0);
			world_settle(&w);
		}
		cr_expect(eq(u32, w.functions[f].touched, load));
	}
	world_close(&w);
}

Test(policy, the_slot_used_last_is_used_next)
{
	uint32_t f, last;
	uint64_t v[3];

	world_open_small(&w, 100);
	f = world_add_plain(&w);
	for (int i = 0; i < 3; i++)
		v[i] = world_arrive(&w, f, 0);
	world_settle(&w);
	last = world_slot_of(&w, v[1]);
	for (int i = 0; i < 3; i++) {
		world_reply_to(&w, v[(i + 2) % 3]); /* the one in the middle last */
		world_settle(&w);
	}
	for (int i = 0; i < 5; i++) {
		v[0] = world_arrive(&w, f, 0);
		cr_expect(eq(u32, world_slot_of(&w, v[0]), last));
		world_reply_to(&w, v[0]);
		world_settle(&w);
	}
	world_close(&w);
}

/* ---- growth ---- */

Test(policy, a_slot_that_comes_back_soon_starts_no_other)
{
	uint32_t f;

	world_open_small(&w, 100);
	f = world_add_plain(&w);
	world_occupy(&w, f, 1);
	world_reply_to(&w, 0);
	cr_assert(eq(u32, w.n[WORLD_REWINDING], 1));
	world_arrive(&w, f, 0);
	cr_expect(eq(u32, w.nstarts, 1));
	world_arrive(&w, f, 0); /* that is one more */
	cr_expect(eq(u32, w.nstarts, 2));
	world_close(&w);
}

Test(policy, a_slot_that_comes_back_soon_is_waited_for)
{
	struct policy_limits limits = world_ample;
	uint64_t one;
	uint32_t f;

	limits.ahead = 1;
	limits.glance = MS;
	world_open(&w, &limits);
	f = world_add_plain(&w);
	world_occupy(&w, f, 1);
	world_occupy(&w, f, 1);
	cr_assert(eq(u32, w.functions[f].n[WORLD_IDLE], 1), "one ahead");
	world_reply_to(&w, 0);
	world_arrive(&w, f, 0);
	cr_expect(eq(u32, w.functions[f].queued, 1));
	world_settle(&w);
	cr_expect(eq(u32, w.functions[f].queued, 0));
	cr_expect(eq(u32, w.functions[f].touched, 2));
	world_reply_to(&w, 1);
	one = world_arrive(&w, f, 0);
	world_pass(&w, MS);
	cr_expect(w.invocations[one].is_running, "but not for long");
	cr_expect(eq(u32, w.functions[f].touched, 3));
	world_finish(&w);
	world_close(&w);
}

Test(policy, starts_a_few_ahead_for_who_is_busy_and_none_for_who_is_cold)
{
	struct policy_limits limits = world_ample;
	uint32_t f;

	limits.ahead = 2;
	world_open(&w, &limits);
	f = world_add_plain(&w);
	world_occupy(&w, f, 1);
	cr_expect(eq(u32, world_live(&w, f), 1));
	world_occupy(&w, f, 1);
	cr_expect(eq(u32, world_live(&w, f), 3), "one, and as many as are busy");
	world_occupy(&w, f, 20);
	cr_expect(eq(u32, world_live(&w, f), 24));
	cr_expect(eq(u32, w.functions[f].n[WORLD_IDLE], 2));
	world_close(&w);
}

Test(policy, starts_no_more_at_once_than_allowed)
{
	struct policy_limits limits = world_ample;

	limits.starting = 3;
	world_open(&w, &limits);
	world_add_plain(&w);
	for (int i = 0; i < 10; i++)
		world_arrive(&w, 0, 0);
	cr_expect(eq(u32, w.n[WORLD_STARTING], 3));
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 10));
	world_close(&w);
}

Test(policy, has_no_more_than_max_and_no_fewer_than_min)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 100);
	c.min = 2;
	c.max = 4;
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	cr_expect(eq(u32, w.n[WORLD_STARTING], 2));
	world_occupy(&w, 0, 10);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 4));
	world_finish(&w);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 4));
	world_pass(&w, 20 * MS);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 2));
	world_close(&w);
}

/* ---- shrinking ---- */

Test(policy, idle_slots_expire_the_least_recently_used_first)
{
	struct policy_function c = world_plain();
	uint32_t slots[3];

	world_open_small(&w, 100);
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	world_occupy(&w, 0, 3);
	for (int i = 0; i < 3; i++) {
		slots[i] = world_slot_of(&w, i);
		world_reply_to(&w, i);
		world_settle(&w);
		world_pass(&w, 3 * MS);
	}
	cr_expect(eq(u64, policy_wake(w.p), w.slots[slots[0]].since + 10 * MS));
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, w.slots[slots[i]].state, WORLD_IDLE));
		world_pass(&w, policy_wake(w.p) - w.now);
		cr_expect(eq(int, w.slots[slots[i]].state, WORLD_ENDING));
	}
	world_close(&w);
}

Test(policy, a_slot_that_came_too_late_is_kept_no_longer_than_those_before_it)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 100);
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	world_occupy(&w, 0, 1);
	world_arrive(&w, 0, 0);
	cr_assert(eq(u32, w.n[WORLD_STARTING], 1));
	for (uint64_t v = 0; v < 2; v++) {
		world_reply_to(&w, v);
		world_rewound(&w, w.last_slot);
	}
	world_pass(&w, 5 * MS);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 2));
	world_pass(&w, 5 * MS);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 2));
	world_close(&w);
}

Test(policy, pressure_takes_more_each_time_but_nothing_provisioned)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 100);
	c.provisioned = 2;
	c.min = 5;
	world_add(&w, &c);
	world_occupy(&w, 0, 20);
	world_reply_all(&w, 0);
	for (uint32_t n = 1, left = 20; n <= 4; n *= 2) {
		left -= n;
		world_press(&w, POLICY_TIGHT);
		cr_expect(eq(u32, w.n[WORLD_IDLE], left));
	}
	world_press(&w, POLICY_CRITICAL);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 2));
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 2), "min does not come back under pressure");
	world_press(&w, POLICY_CALM);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_IDLE], 5));
	world_close(&w);
}

Test(policy, nothing_starts_under_critical_pressure)
{
	uint64_t v;

	world_open_small(&w, 100);
	world_add_plain(&w);
	world_add_plain(&w);
	world_occupy(&w, 0, 1);
	world_press(&w, POLICY_CRITICAL);
	v = world_arrive(&w, 1, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_NO_MEMORY));
	v = world_arrive(&w, 0, 0);
	cr_expect(not(w.invocations[v].is_over), "there is a slot to wait for");
	world_finish(&w);
	world_close(&w);
}

/* ---- ends ---- */

Test(policy, a_full_queue_throttles)
{
	struct policy_function c = world_plain();
	uint64_t v = 0;

	world_open_small(&w, 100);
	c.max_queued = 3;
	c.max = 1;
	world_add(&w, &c);
	world_occupy(&w, 0, 1);
	for (int i = 0; i < 3; i++)
		v = world_arrive(&w, 0, 0);
	cr_expect(not(w.invocations[v].is_over));
	v = world_arrive(&w, 0, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_THROTTLED));
	world_finish(&w);
	world_close(&w);
}

Test(policy, deadlines_end_what_waits_and_what_runs)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 1);
	c.wait = 10 * MS;
	c.timeout = 20 * MS;
	world_add(&w, &c);
	world_occupy(&w, 0, 1);
	world_arrive(&w, 0, w.now + 5 * MS);
	world_arrive(&w, 0, 0);
	world_pass(&w, 5 * MS);
	cr_expect(w.invocations[1].was_refused);
	cr_expect(eq(int, w.invocations[1].reason, POLICY_TIMED_OUT));
	world_pass(&w, 5 * MS);
	cr_expect(w.invocations[2].was_refused);
	world_arrive(&w, 0, 0);
	world_pass(&w, 10 * MS - 1);
	cr_expect(not(w.invocations[0].is_over));
	world_pass(&w, 1);
	cr_expect(w.invocations[0].was_killed);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1));
	cr_expect(not(policy_replied(w.p, w.last_slot)), "too late");
	world_close(&w);
}

Test(policy, a_poisoned_slot_is_replaced_when_it_is_gone)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 2);
	c.provisioned = 2;
	world_add(&w, &c);
	world_settle(&w);
	world_occupy(&w, 0, 1);
	world_poison(&w, world_slot_of(&w, 0));
	cr_expect(w.invocations[0].was_lost);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1));
	cr_expect(eq(u32, w.n[WORLD_STARTING], 0), "its memory is not free yet");
	world_gone(&w, w.last_slot);
	cr_expect(eq(u32, w.n[WORLD_STARTING], 1));
	world_close(&w);
}

Test(policy, a_function_that_does_not_start_is_tried_less_and_less)
{
	nsec_t began;

	world_open_small(&w, 100);
	world_add_plain(&w);
	world_arrive(&w, 0, 0);
	for (int i = 0; i < 3; i++)
		world_gone(&w, w.last_slot);
	cr_expect(eq(u32, w.nstarts, 3), "at first it may have been chance");
	cr_expect(not(w.invocations[0].is_over));
	began = w.now;
	for (int i = 0; i < 8; i++) {
		world_pass(&w, policy_wake(w.p) - w.now);
		if (w.n[WORLD_STARTING] == 0) /* nobody waits */
			world_arrive(&w, 0, 0);
		world_gone(&w, w.last_slot);
		cr_expect(eq(u32, w.nover, w.ninvocations));
	}
	cr_expect(eq(int, w.invocations[0].reason, POLICY_DOES_NOT_START));
	cr_expect(eq(u64, w.now - began,
		     (100 + 200 + 400 + 800 + 1600 + 3200 + 6400 + 10000) * MS));
	cr_expect(w.invocations[world_arrive(&w, 0, 0)].was_refused);
	world_pass(&w, 10000 * MS);
	world_arrive(&w, 0, 0);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 1));
	world_close(&w);
}

Test(policy, a_start_and_a_rewind_that_do_not_end_are_killed)
{
	struct policy_limits limits = world_ample;

	limits.patience = 10 * MS;
	world_open(&w, &limits);
	world_add_plain(&w);
	world_arrive(&w, 0, 0);
	world_pass(&w, 10 * MS);
	cr_expect(eq(u32, w.nkills, 1));
	world_settle(&w);
	world_reply_to(&w, 0);
	world_pass(&w, 10 * MS);
	cr_expect(eq(u32, w.nkills, 2));
	world_settle(&w);
	world_close(&w);
}

Test(policy, a_fresh_slot_serves_once)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 3);
	c.mode = POLICY_FRESH;
	world_add(&w, &c);
	for (int i = 0; i < 20; i++)
		world_arrive(&w, 0, 0);
	world_finish(&w);
	cr_expect(eq(u32, w.functions[0].touched, 20));
	world_close(&w);
}

Test(policy, what_reuse_left_behind_is_not_given_as_pristine)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 10);
	c.mode = POLICY_REUSE;
	world_add(&w, &c);
	world_occupy(&w, 0, 4);
	world_reply_to(&w, 0);
	world_reply_to(&w, 1);
	c.mode = POLICY_PRISTINE;
	world_change(&w, 0, &c);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 2));
	world_reply_to(&w, 2);
	cr_expect(eq(u32, w.n[WORLD_REWINDING], 1));
	world_finish(&w);
	world_close(&w);
}

Test(policy, a_function_that_is_removed_ends_what_runs_and_nothing_else)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 10);
	c.max = 2;
	world_add(&w, &c);
	world_occupy(&w, 0, 4);
	world_remove(&w, 0);
	cr_expect(eq(int, w.invocations[2].reason, POLICY_REMOVED));
	cr_expect(eq(u32, world_add_plain(&w), 1), "its number is still its own");
	world_reply_to(&w, 0);
	world_reply_to(&w, 1);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_FREE], world_ample.slots));
	cr_expect(eq(u32, world_add_plain(&w), 0));
	world_close(&w);
}

/* ---- size ---- */

Test(policy, a_thousand_functions_with_ten_thousand_slots)
{
	struct policy_limits limits = {
		.memory = 10000,
		.slots = 10000,
		.functions = 1000,
		.starting = 64,
		.ahead = 2,
		.linger = MS,
		.turn = MS,
	};
	struct policy_function c = world_plain();

	world_open(&w, &limits);
	w.is_large = true;
	c.idle_timeout = 50 * MS;
	for (uint32_t f = 0; f < 1000; f++) {
		c.weight = 1 + f % 3;
		c.mode = f % 3;
		world_add(&w, &c);
	}
	for (uint32_t i = 0; i < 300000; i++) {
		uint32_t slot = i * 7919u % 10000;

		world_arrive(&w, i % 5 ? i * 31u % 1000 : i % 3, w.now + 500 * MS);
		if (w.slots[slot].state == WORLD_BUSY)
			world_reply(&w, slot);
		else
			world_go_on(&w, slot);
		if (i % 200 == 0) {
			world_settle(&w);
			world_pass(&w, MS);
		}
	}
	cr_expect(gt(u32, w.n[WORLD_IDLE] + w.n[WORLD_BUSY], 5000));
	world_finish(&w);
	world_close(&w);
}
