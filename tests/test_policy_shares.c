/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the pool policy by which functions share what there is. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>

#include "tests/helpers_policy.h"

#define MS NSEC_PER_MSEC

static struct world w;

/* ---- shares ---- */

Test(policy_shares, a_full_house_gives_a_starving_function_a_slot_of_the_flood)
{
	uint32_t flood, other;
	uint64_t v;

	world_open_small(&w, 10);
	flood = world_add_plain(&w);
	other = world_add_plain(&w);
	world_occupy(&w, flood, 60);
	cr_assert(eq(u32, world_live(&w, flood), 10));
	v = world_arrive(&w, other, 0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 0), "nobody is killed for that");
	world_reply_to(&w, 0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1), "the first that replies makes room");
	world_reply_to(&w, 1);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 1), "and no other");
	world_settle(&w);
	cr_expect(w.invocations[v].is_running);
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, two_floods_share_by_weight)
{
	struct policy_function c = world_plain();

	world_open_small(&w, 12);
	world_add(&w, &c);
	c.weight = 3;
	world_add(&w, &c);
	world_occupy(&w, 0, 12);
	for (int i = 0; i < 40; i++) {
		for (uint32_t f = 0; f < 2; f++) {
			while (w.functions[f].queued < 50)
				world_arrive(&w, f, 0);
			world_reply_all(&w, f);
		}
	}
	cr_expect(eq(u32, world_live(&w, 0), 3));
	cr_expect(eq(u32, world_live(&w, 1), 9));
	world_close(&w);
}

Test(policy_shares, a_slot_in_use_is_kept_from_a_flood_and_one_forgotten_is_not)
{
	uint32_t flood, other;

	world_open_small(&w, 10);
	other = world_add_plain(&w);
	flood = world_add_plain(&w);
	world_occupy(&w, other, 1);
	world_occupy(&w, flood, 50);
	for (int i = 0; i < 100; i++) {
		world_reply_all(&w, other);
		world_pass(&w, 5 * MS);
		world_reply_all(&w, flood);
		cr_assert(eq(u32, world_live(&w, other), 1));
		while (w.functions[flood].queued < 20)
			world_arrive(&w, flood, 0);
		world_occupy(&w, other, 1);
	}
	cr_expect(eq(u32, w.functions[other].touched, 1));
	world_reply_all(&w, other);
	world_pass(&w, world_ample.linger);
	world_settle(&w);
	cr_expect(eq(u32, world_live(&w, other), 0));
	world_close(&w);
}

Test(policy_shares, more_functions_than_slots_take_turns)
{
	uint32_t served[10] = { 0 };

	world_open_small(&w, 3);
	for (uint32_t f = 0; f < 10; f++)
		world_add_plain(&w);
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

Test(policy_shares, room_for_many_is_made_at_once)
{
	uint32_t idle, other;

	world_open_small(&w, 20);
	idle = world_add_plain(&w);
	other = world_add_plain(&w);
	world_occupy(&w, idle, 20);
	world_reply_all(&w, idle);
	world_pass(&w, world_ample.linger);
	for (int i = 0; i < 8; i++)
		world_arrive(&w, other, 0);
	cr_expect(eq(u32, w.n[WORLD_ENDING], 8));
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 8));
	world_close(&w);
}

/* ---- running ---- */

Test(policy_shares, time_to_run_is_shared_by_weight_however_long_one_takes)
{
	struct policy_limits limits = world_ample;
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

Test(policy_shares, slots_that_could_not_run_are_not_started)
{
	struct policy_limits limits = world_ample;

	limits.running = 4;
	world_open(&w, &limits);
	world_add_plain(&w);
	world_add_plain(&w);
	world_occupy(&w, 0, 50);
	cr_expect(eq(u32, world_live(&w, 0), 4));
	world_occupy(&w, 1, 50);
	cr_expect(eq(u32, world_live(&w, 1), 1), "but the first one is");
	world_finish(&w);
	world_close(&w);
}

static void sleep_all(uint32_t function)
{
	for (uint32_t i = 0; i < w.limits.slots; i++) {
		if (w.slots[i].state == WORLD_BUSY && w.slots[i].function == function)
			w.slots[i].sleeps = true;
	}
}

Test(policy_shares, who_sleeps_keeps_nobody_from_running)
{
	struct policy_limits limits = world_ample;
	uint64_t one;

	limits.running = 2;
	limits.glance = MS;
	world_open(&w, &limits);
	world_add_plain(&w);
	world_add_plain(&w);
	world_occupy(&w, 0, 40);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 2));
	for (int i = 0; i < 20; i++) {
		sleep_all(0);
		world_pass(&w, MS);
		world_settle(&w);
	}
	cr_expect(eq(u32, w.functions[0].n[WORLD_BUSY], 40));
	cr_expect(eq(u32, w.nlooks, 38), "nobody waits for the last two");
	one = world_arrive(&w, 1, 0);
	world_settle(&w);
	sleep_all(0);
	world_pass(&w, 16 * MS);
	world_settle(&w);
	cr_expect(w.invocations[one].is_running);
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, who_works_is_looked_at_less_and_less)
{
	struct policy_limits limits = world_ample;

	limits.running = 1;
	limits.glance = MS;
	world_open(&w, &limits);
	world_add_plain(&w);
	world_occupy(&w, 0, 1);
	world_pass(&w, NSEC_PER_SEC);
	cr_expect(eq(u32, w.nlooks, 0), "nobody wants to run");
	world_reply_all(&w, 0);
	world_occupy(&w, 0, 2);
	for (int i = 0; i < 63; i++)
		world_pass(&w, MS);
	cr_expect(eq(u32, w.nlooks, 6), "after 1, 2, 4, 8, 16 and 32 ms");
	cr_expect(eq(u32, w.n[WORLD_BUSY], 1));
	world_pass(&w, MS);
	world_settle(&w);
	cr_expect(eq(u32, w.n[WORLD_BUSY], 2), "then it is left alone");
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, nobody_at_work_waits_no_longer_than_a_glance)
{
	struct policy_limits limits = world_ample;
	uint64_t one;

	limits.running = 2;
	limits.glance = MS;
	world_open(&w, &limits);
	for (int i = 0; i < 3; i++)
		world_add_plain(&w);
	world_occupy(&w, 0, 10);
	cr_expect(eq(u32, w.functions[0].n[WORLD_BUSY], 2));
	one = world_arrive(&w, 1, 0);
	world_settle(&w);
	cr_expect(not(w.invocations[one].is_running));
	world_pass(&w, MS);
	world_settle(&w);
	cr_expect(w.invocations[one].is_running);
	cr_expect(eq(u32, w.functions[0].n[WORLD_BUSY], 2), "who has others at work waits");
	world_occupy(&w, 1, 1);
	cr_expect(eq(u32, w.functions[1].n[WORLD_BUSY], 1));
	world_finish(&w);
	world_close(&w);
}

/* Others' invocations are always young, so it is its turn that it waits for. */
Test(policy_shares, what_was_used_alone_is_not_held_against_it)
{
	struct policy_limits limits = world_ample;
	struct policy_function c = world_plain();
	uint64_t one;

	c.mode = POLICY_REUSE;
	limits.running = 3;
	limits.glance = MS;
	world_open(&w, &limits);
	world_add(&w, &c);
	world_add(&w, &c);
	world_occupy(&w, 0, 1);
	world_pass(&w, 60 * NSEC_PER_SEC);
	world_reply_all(&w, 0);
	world_occupy(&w, 1, 8);
	one = world_arrive(&w, 0, 0);
	for (int i = 0; i < 200 && !w.invocations[one].is_running; i++) {
		while (w.functions[1].queued < 64)
			world_arrive(&w, 1, 0);
		world_pass(&w, MS / 2);
		world_reply_all(&w, 1);
	}
	cr_expect(w.invocations[one].is_running, "not even after 0.1 s");
	world_finish(&w);
	world_close(&w);
}

/* What it slept is not what it took. */
Test(policy_shares, sleep_is_not_charged)
{
	struct policy_limits limits = world_ample;
	uint32_t given = 0;

	limits.running = 1;
	limits.glance = MS;
	world_open(&w, &limits);
	world_add_plain(&w); /* takes 1 ms and sleeps 100 */
	world_add_plain(&w); /* takes 1 ms */
	for (int i = 0; i < 1000; i++) {
		for (uint32_t f = 0; f < 2; f++) {
			while (w.functions[f].queued < 3)
				world_arrive(&w, f, 0);
		}
		world_settle(&w);
		sleep_all(0);
		world_pass(&w, MS);
		world_reply_all(&w, 1);
		if (i % 100 == 99)
			world_reply_all(&w, 0);
	}
	for (uint32_t i = 0; i < w.ninvocations; i++)
		given += w.invocations[i].function == 0 && w.invocations[i].given > 0;
	cr_expect(given > 400, "%u of 1000", given);
	world_finish(&w);
	world_close(&w);
}

/* ---- reserved and provisioned ---- */

Test(policy_shares, what_is_reserved_is_there_and_no_more)
{
	struct policy_function c = world_plain();
	uint32_t flood, other;

	world_open_small(&w, 10);
	c.is_reserved = true;
	c.reserved = 3;
	other = world_add(&w, &c);
	flood = world_add_plain(&w);
	world_occupy(&w, flood, 50);
	cr_expect(eq(u32, world_live(&w, flood), 7));
	world_occupy(&w, other, 10);
	cr_expect(eq(u32, w.functions[other].n[WORLD_BUSY], 3));
	world_finish(&w);
	world_close(&w);
}

/* Two functions and a flood beside them; three slots are reserved for the two. */
static void open_group(struct world *world)
{
	struct policy_function c = world_plain();

	world_open_small(world, 10);
	c.is_reserved = true;
	c.reserved = 3;
	c.group = 7;
	world_add(world, &c);
	world_add(world, &c);
	world_occupy(world, world_add_plain(world), 50);
	cr_expect(eq(u32, world_live(world, 2), 7));
}

Test(policy_shares, a_group_has_what_is_reserved_together)
{
	open_group(&w);
	world_occupy(&w, 0, 10);
	cr_expect(eq(u32, world_live(&w, 0), 3));
	world_occupy(&w, 1, 1);
	cr_expect(eq(u32, world_live(&w, 1), 0), "three are three");
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, within_a_group_a_slot_that_is_not_needed_is_taken_at_once)
{
	open_group(&w);
	world_occupy(&w, 0, 3);
	world_reply_all(&w, 0);
	cr_expect(eq(u32, w.functions[0].n[WORLD_IDLE], 3));
	world_occupy(&w, 1, 2);
	cr_expect(eq(u32, w.functions[1].n[WORLD_BUSY], 2));
	cr_expect(eq(u32, world_live(&w, 0), 1));
	cr_expect(eq(u32, world_live(&w, 2), 7), "others are none of its business");
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, within_a_group_nobody_starves)
{
	open_group(&w);
	world_occupy(&w, 0, 50);
	world_occupy(&w, 1, 50);
	for (int i = 0; i < 3; i++) {
		world_pass(&w, world_ample.turn);
		world_reply_all(&w, 0);
	}
	cr_expect(ge(u32, world_live(&w, 1), 1));
	cr_expect(ge(u32, world_live(&w, 0), 1));
	cr_expect(eq(u32, world_live(&w, 0) + world_live(&w, 1), 3));
	world_finish(&w);
	world_close(&w);
}

Test(policy_shares, a_group_is_promised_no_more_than_it_has)
{
	struct policy_function c = world_plain();

	open_group(&w);
	c.is_reserved = true;
	c.reserved = 3;
	c.group = 7;
	c.provisioned = 2;
	cr_expect(world_change(&w, 0, &c));
	cr_expect(not(world_change(&w, 1, &c)), "four of three");
	c.provisioned = 1;
	cr_expect(world_change(&w, 1, &c));
	world_settle(&w);
	cr_expect(eq(u32, world_live(&w, 0), 2));
	cr_expect(eq(u32, world_live(&w, 1), 1));
	c.reserved = 0;
	c.provisioned = 0;
	world_remove(&w, 0);
	cr_expect(world_change(&w, 1, &c), "the last one says what there is");
	world_settle(&w);
	world_reply_all(&w, 2);
	cr_expect(eq(u32, world_live(&w, 2), 10));
	world_close(&w);
}

Test(policy_shares, what_is_provisioned_for_one_of_a_group_no_other_waits_for)
{
	struct policy_function c = world_plain();
	uint64_t v;

	open_group(&w);
	c.is_reserved = true;
	c.reserved = c.provisioned = 3;
	c.group = 7;
	cr_expect(world_change(&w, 0, &c));
	v = world_arrive(&w, 1, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_THROTTLED));
	world_close(&w);
}

Test(policy_shares, a_function_with_nothing_reserved_to_it_may_not_run)
{
	struct policy_function c = world_plain();
	uint64_t v;

	world_open_small(&w, 10);
	c.is_reserved = true;
	world_add(&w, &c);
	v = world_arrive(&w, 0, 0);
	cr_expect(w.invocations[v].was_refused);
	cr_expect(eq(int, w.invocations[v].reason, POLICY_THROTTLED));
	world_close(&w);
}

Test(policy_shares, provisioned_slots_come_first_and_stay)
{
	struct policy_function c = world_plain();
	uint32_t flood, other;

	world_open_small(&w, 10);
	flood = world_add_plain(&w);
	world_occupy(&w, flood, 50);
	c.provisioned = 4;
	c.idle_timeout = MS;
	other = world_add(&w, &c);
	world_reply_all(&w, flood);
	cr_expect(eq(u32, world_live(&w, other), 4));
	world_pass(&w, 10 * world_ample.linger);
	world_reply_all(&w, flood);
	world_settle(&w);
	cr_expect(eq(u32, w.functions[other].n[WORLD_IDLE], 4));
	world_close(&w);
}

Test(policy_shares, refuses_to_promise_what_others_were_promised)
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

	world_open_small(&w, 10);
	c.is_reserved = true;
	c.reserved = 5;
	world_add(&w, &c);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(eq(int, policy_add(w.p, &cases[i].c, NULL), cases[i].ret), "%s",
			  cases[i].why);
	world_close(&w);
}
