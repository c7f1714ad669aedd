/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the pool policy, one by one. tests/test_policy_histories.c has them all at once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>

#include "engine/err.h"
#include "tests/helpers_policy.h"

#define MS NSEC_PER_MSEC

static struct world w;

static const struct policy_limits ample = {
	.memory = 100,
	.slots = 100,
	.functions = 10,
	.linger = 1000 * MS,
	.turn = 10 * MS,
};

static void open_world(uint32_t memory)
{
	struct policy_limits limits = ample;

	limits.memory = memory;
	world_open(&w, &limits);
}

static uint32_t add_plain(void)
{
	struct policy_function c = world_plain();

	return world_add(&w, &c);
}

/* @n invocations of @f, each in a slot of its own. */
static void occupy(uint32_t f, uint32_t n)
{
	while (n-- > 0)
		world_arrive(&w, f, 0);
	world_settle(&w);
}

static void reply(uint64_t invocation)
{
	uint32_t slot = world_slot_of(&w, invocation);

	cr_assert(ne(u32, slot, WORLD_NONE));
	world_reply(&w, slot);
}

/* Reply to whatever runs of @f, once, and settle. */
static void reply_all(uint32_t f)
{
	for (uint32_t i = 0; i < w.limits.slots; i++) {
		if (w.slots[i].state == WORLD_BUSY && w.slots[i].function == f)
			world_reply(&w, i);
	}
	world_settle(&w);
}

/* ---- sticky ---- */

Test(policy, constant_load_touches_as_many_slots_as_it_needs)
{
	open_world(100);
	for (uint32_t load = 1; load <= 4; load++) {
		uint32_t f = add_plain();
		uint64_t running[4];

		for (uint32_t i = 0; i < load; i++)
			running[i] = world_arrive(&w, f, 0);
		world_settle(&w);
		for (uint32_t i = 0; i < 1000; i++) {
			world_pass(&w, MS);
			reply(running[i % load]);
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

	open_world(100);
	f = add_plain();
	for (int i = 0; i < 3; i++)
		v[i] = world_arrive(&w, f, 0);
	world_settle(&w);
	last = world_slot_of(&w, v[1]);
	for (int i = 0; i < 3; i++) {
		reply(v[(i + 2) % 3]); /* the one in the middle last */
		world_settle(&w);
	}
	for (int i = 0; i < 5; i++) {
		v[0] = world_arrive(&w, f, 0);
		cr_expect(eq(u32, world_slot_of(&w, v[0]), last));
		reply(v[0]);
		world_settle(&w);
	}
	world_close(&w);
}

/* ---- growth ---- */

Test(policy, a_slot_that_comes_back_soon_starts_no_other)
{
	uint32_t f;

	open_world(100);
	f = add_plain();
	occupy(f, 1);
	reply(0);
	cr_assert(eq(u32, w.n[WORLD_REWINDING], 1));
	world_arrive(&w, f, 0);
	cr_expect(eq(u32, w.nstarts, 1));
	world_arrive(&w, f, 0); /* that is one more */
	cr_expect(eq(u32, w.nstarts, 2));
	world_close(&w);
}

Test(policy, starts_a_few_ahead_for_who_is_busy_and_none_for_who_is_cold)
{
	struct policy_limits limits = ample;
	uint32_t f;

	limits.ahead = 2;
	world_open(&w, &limits);
	f = add_plain();
	occupy(f, 1);
	cr_expect(eq(u32, world_live(&w, f), 1));
	occupy(f, 1);
	cr_expect(eq(u32, world_live(&w, f), 3), "one, and as many as are busy");
	occupy(f, 20);
	cr_expect(eq(u32, world_live(&w, f), 24));
	cr_expect(eq(u32, w.functions[f].n[WORLD_IDLE], 2));
	world_close(&w);
}

Test(policy, starts_no_more_at_once_than_allowed)
{
	struct policy_limits limits = ample;

	limits.starting = 3;
	world_open(&w, &limits);
	add_plain();
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

	open_world(100);
	c.min = 2;
	c.max = 4;
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	cr_expect(eq(u32, w.n[WORLD_STARTING], 2));
	occupy(0, 10);
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

	open_world(100);
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	occupy(0, 3);
	for (int i = 0; i < 3; i++) {
		slots[i] = world_slot_of(&w, i);
		reply(i);
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

	open_world(100);
	c.idle_timeout = 10 * MS;
	world_add(&w, &c);
	occupy(0, 1);
	world_arrive(&w, 0, 0);
	cr_assert(eq(u32, w.n[WORLD_STARTING], 1));
	for (uint64_t v = 0; v < 2; v++) {
		reply(v);
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

	open_world(100);
	c.provisioned = 2;
	c.min = 5;
	world_add(&w, &c);
	occupy(0, 20);
	reply_all(0);
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

	open_world(100);
	add_plain();
	add_plain();
	occupy(0, 1);
	world_press(&w, POLICY_CRITICAL);
	v = world_arrive(&w, 1, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_NO_MEMORY));
	v = world_arrive(&w, 0, 0);
	cr_expect(not(w.invocations[v].is_over), "there is a slot to wait for");
	world_finish(&w);
	world_close(&w);
}

/* ---- shares ---- */

Test(policy, a_full_house_gives_a_starving_function_a_slot_of_the_flood)
{
	uint32_t flood, other;
	uint64_t v;

	open_world(10);
	flood = add_plain();
	other = add_plain();
	occupy(flood, 60);
	cr_assert(eq(u32, world_live(&w, flood), 10));
	v = world_arrive(&w, other, 0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 0), "nobody is killed for that");
	reply(0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1), "the first that replies makes room");
	reply(1);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1), "and no other");
	world_settle(&w);
	cr_expect(w.invocations[v].is_running);
	world_finish(&w);
	world_close(&w);
}

Test(policy, two_floods_share_by_weight)
{
	struct policy_function c = world_plain();

	open_world(12);
	world_add(&w, &c);
	c.weight = 3;
	world_add(&w, &c);
	occupy(0, 12);
	for (int i = 0; i < 40; i++) {
		for (uint32_t f = 0; f < 2; f++) {
			while (w.functions[f].queued < 50)
				world_arrive(&w, f, 0);
			reply_all(f);
		}
	}
	cr_expect(eq(u32, world_live(&w, 0), 3));
	cr_expect(eq(u32, world_live(&w, 1), 9));
	world_close(&w);
}

Test(policy, a_slot_in_use_is_kept_from_a_flood_and_one_forgotten_is_not)
{
	uint32_t flood, other;

	open_world(10);
	other = add_plain();
	flood = add_plain();
	occupy(other, 1);
	occupy(flood, 50);
	for (int i = 0; i < 100; i++) {
		reply_all(other);
		world_pass(&w, 5 * MS);
		reply_all(flood);
		cr_assert(eq(u32, world_live(&w, other), 1));
		while (w.functions[flood].queued < 20)
			world_arrive(&w, flood, 0);
		occupy(other, 1);
	}
	cr_expect(eq(u32, w.functions[other].touched, 1));
	reply_all(other);
	world_pass(&w, ample.linger);
	world_settle(&w);
	cr_expect(eq(u32, world_live(&w, other), 0));
	world_close(&w);
}

Test(policy, more_functions_than_slots_take_turns)
{
	uint32_t served[10] = { 0 };

	open_world(3);
	for (uint32_t f = 0; f < 10; f++)
		add_plain();
	for (int round = 0; round < 400; round++) {
		for (uint32_t f = 0; f < 10; f++) {
			while (w.functions[f].queued < 3)
				world_arrive(&w, f, 0);
		}
		world_pass(&w, MS);
		for (uint32_t i = 0; i < 3; i++) {
			if (w.slots[i].state != WORLD_BUSY)
				continue;
			served[w.slots[i].function]++;
			world_reply(&w, i);
		}
		world_settle(&w);
	}
	for (uint32_t f = 0; f < 10; f++)
		cr_expect(served[f] >= 100 && served[f] <= 140, "%u: %u", f, served[f]);
	cr_expect(lt(u32, w.nstarts, 150), "a slot is kept for a turn");
	world_close(&w);
}

Test(policy, room_for_many_is_made_at_once)
{
	uint32_t idle, other;

	open_world(20);
	idle = add_plain();
	other = add_plain();
	occupy(idle, 20);
	reply_all(idle);
	world_pass(&w, ample.linger);
	for (int i = 0; i < 8; i++)
		world_arrive(&w, other, 0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 8));
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 8));
	world_close(&w);
}

/* ---- running ---- */

Test(policy, time_to_run_is_shared_by_weight_however_long_one_takes)
{
	struct policy_limits limits = ample;
	struct policy_function c = world_plain();
	nsec_t ran[2] = { 0 };

	limits.running = 1;
	world_open(&w, &limits);
	world_add(&w, &c); /* takes 9 ms each time */
	c.weight = 2;
	world_add(&w, &c); /* takes 1 ms */
	for (int i = 0; i < 3000; i++) {
		uint32_t busy = 0, f;

		for (f = 0; f < 2; f++) {
			while (w.functions[f].queued < 3)
				world_arrive(&w, f, 0);
		}
		world_settle(&w);
		while (w.slots[busy].state != WORLD_BUSY)
			busy++;
		f = w.slots[busy].function;
		world_pass(&w, f == 0 ? 9 * MS : MS);
		ran[f] += f == 0 ? 9 : 1;
		world_reply(&w, busy);
	}
	cr_expect(ran[1] > ran[0] * 19 / 10 && ran[1] < ran[0] * 21 / 10, "%llu and %llu ms",
		  (unsigned long long)ran[0], (unsigned long long)ran[1]);
	world_close(&w);
}

Test(policy, slots_that_could_not_run_are_not_started)
{
	struct policy_limits limits = ample;

	limits.running = 4;
	world_open(&w, &limits);
	add_plain();
	add_plain();
	occupy(0, 50);
	cr_expect(eq(u32, world_live(&w, 0), 4));
	occupy(1, 50);
	cr_expect(eq(u32, world_live(&w, 1), 1), "but the first one is");
	world_finish(&w);
	world_close(&w);
}

/* ---- reserved and provisioned ---- */

Test(policy, what_is_reserved_is_there_and_no_more)
{
	struct policy_function c = world_plain();
	uint32_t flood, other;

	open_world(10);
	c.is_reserved = true;
	c.reserved = 3;
	other = world_add(&w, &c);
	flood = add_plain();
	occupy(flood, 50);
	cr_expect(eq(u32, world_live(&w, flood), 7));
	occupy(other, 10);
	cr_expect(eq(u32, w.functions[other].n[WORLD_BUSY], 3));
	world_finish(&w);
	world_close(&w);
}

Test(policy, a_function_with_nothing_reserved_to_it_may_not_run)
{
	struct policy_function c = world_plain();
	uint64_t v;

	open_world(10);
	c.is_reserved = true;
	world_add(&w, &c);
	v = world_arrive(&w, 0, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_THROTTLED));
	world_close(&w);
}

Test(policy, provisioned_slots_come_first_and_stay)
{
	struct policy_function c = world_plain();
	uint32_t flood, other;

	open_world(10);
	flood = add_plain();
	occupy(flood, 50);
	c.provisioned = 4;
	c.idle_timeout = MS;
	other = world_add(&w, &c);
	reply_all(flood);
	cr_expect(eq(u32, world_live(&w, other), 4));
	world_pass(&w, 10 * ample.linger);
	reply_all(flood);
	world_settle(&w);
	cr_expect(eq(u32, w.functions[other].n[WORLD_IDLE], 4));
	world_close(&w);
}

Test(policy, refuses_to_promise_what_others_were_promised)
{
	static const struct {
		struct policy_function c;
		int ret;
		const char *why;
	} cases[] = {
		{ { .memory = 0, .weight = 1, .max_queued = 1 }, -EINVAL, "memory" },
		{ { .memory = 11, .weight = 1, .max_queued = 1 }, -EINVAL, "memory" },
		{ { .memory = 1, .weight = 0, .max_queued = 1 }, -EINVAL, "weight" },
		{ { .memory = 1, .weight = 1001, .max_queued = 1 }, -EINVAL, "weight" },
		{ { .memory = 1, .weight = 1, .max_queued = 0 }, -EINVAL, "queue" },
		{ { .memory = 1, .weight = 1, .max_queued = 1, .min = 3, .max = 2 },
		  -EINVAL,
		  "min" },
		{ { .memory = 1,
		    .weight = 1,
		    .max_queued = 1,
		    .provisioned = 2,
		    .is_reserved = true,
		    .reserved = 1 },
		  -EINVAL,
		  "reserved" },
		{ { .memory = 2, .weight = 1, .max_queued = 1, .provisioned = 3 },
		  -ENOMEM,
		  "provisioned" },
		{ { .memory = 6, .weight = 1, .max_queued = 1 }, -ENOMEM, "one slot" },
		{ { .memory = 5, .weight = 1, .max_queued = 1 }, 1, "one slot" },
	};
	struct policy_function c = world_plain();

	open_world(10);
	c.is_reserved = true;
	c.reserved = 5;
	world_add(&w, &c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(eq(int, policy_add(w.p, &cases[i].c, NULL), cases[i].ret), "%s",
			  cases[i].why);
	world_close(&w);
}

/* ---- ends ---- */

Test(policy, a_full_queue_throttles)
{
	struct policy_function c = world_plain();
	uint64_t v = 0;

	open_world(100);
	c.max_queued = 3;
	c.max = 1;
	world_add(&w, &c);
	occupy(0, 1);
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

	open_world(1);
	c.wait = 10 * MS;
	c.timeout = 20 * MS;
	world_add(&w, &c);
	occupy(0, 1);
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

	open_world(2);
	c.provisioned = 2;
	world_add(&w, &c);
	world_settle(&w);
	occupy(0, 1);
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

	open_world(100);
	add_plain();
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
	struct policy_limits limits = ample;

	limits.patience = 10 * MS;
	world_open(&w, &limits);
	add_plain();
	world_arrive(&w, 0, 0);
	world_pass(&w, 10 * MS);
	cr_expect(eq(u32, w.nkills, 1));
	world_settle(&w);
	reply(0);
	world_pass(&w, 10 * MS);
	cr_expect(eq(u32, w.nkills, 2));
	world_settle(&w);
	world_close(&w);
}

Test(policy, a_fresh_slot_serves_once)
{
	struct policy_function c = world_plain();

	open_world(3);
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

	open_world(10);
	c.mode = POLICY_REUSE;
	world_add(&w, &c);
	occupy(0, 4);
	reply(0);
	reply(1);
	c.mode = POLICY_PRISTINE;
	world_change(&w, 0, &c);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 2));
	reply(2);
	cr_expect(eq(u32, w.n[WORLD_REWINDING], 1));
	world_finish(&w);
	world_close(&w);
}

Test(policy, a_function_that_is_removed_ends_what_runs_and_nothing_else)
{
	struct policy_function c = world_plain();

	open_world(10);
	c.max = 2;
	world_add(&w, &c);
	occupy(0, 4);
	world_remove(&w, 0);
	cr_expect(eq(int, w.invocations[2].reason, POLICY_REMOVED));
	cr_expect(eq(u32, add_plain(), 1), "its number is still its own");
	reply(0);
	reply(1);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_FREE], ample.slots));
	cr_expect(eq(u32, add_plain(), 0));
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
