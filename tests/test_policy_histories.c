/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of the pool policy, each by its seed: HISTORIES says how many, SEED the first.
 * tests/helpers_policy.c has what is checked at each step.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>

#include "tests/helpers_policy.h"

#define MS NSEC_PER_MSEC

static uint64_t state;

/* xorshift64*. Returns 0 to @n - 1. */
static uint32_t draw(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static bool chance(uint32_t percent)
{
	return draw(100) < percent;
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

struct history {
	struct world w;
	bool has_changes;
	uint32_t nfunctions;
	uint32_t hot;	  /* most invocations are of this one */
	uint32_t failing; /* percent of slots that fail where they could go on */
};

static struct policy_limits some_limits(void)
{
	uint32_t slots = 1 + draw(16);

	return (struct policy_limits){
		.memory = chance(50) ? slots : slots + draw(30),
		.slots = slots,
		.functions = 8,
		.starting = chance(50) ? 1 + draw(4) : 0,
		.running = chance(30) ? 1 + draw(6) : 0,
		.ahead = draw(4),
		.linger = draw(3) * 10 * MS,
		.turn = draw(3) * 5 * MS,
		.glance = chance(50) ? (1 + draw(3)) * MS : 0,
		.patience = chance(50) ? 50 * MS : 0,
	};
}

static struct policy_function some_function(const struct history *h, bool is_uniform)
{
	const struct policy_limits *l = &h->w.limits;
	struct policy_function c = {
		.memory = is_uniform ? 1 : 1 + draw(MIN(4u, (uint32_t)l->memory)),
		.mode = draw(3),
		.weight = chance(70) ? 1 : 1 + draw(4),
		.min = chance(30) ? draw(3) : 0,
		.provisioned = chance(20) ? draw(3) : 0,
		.max_queued = 1 + draw(chance(50) ? 4 : 100),
		.idle_timeout = chance(70) ? (1 + draw(50)) * MS : 0,
		.wait = chance(30) ? (1 + draw(50)) * MS : 0,
		.timeout = chance(30) ? (1 + draw(50)) * MS : 0,
	};

	c.max = chance(30) ? MAX(1u, MAX(c.min, c.provisioned)) + draw(3) : 0;
	c.is_reserved = chance(20);
	c.reserved = c.is_reserved ? c.provisioned + draw(3) : 0;
	c.group = c.is_reserved ? draw(3) : 0;
	return c;
}

static uint32_t some_present(const struct history *h)
{
	uint32_t first = draw(h->w.limits.functions);

	for (uint32_t i = 0; i < h->w.limits.functions; i++) {
		uint32_t f = (first + i) % h->w.limits.functions;

		if (h->w.functions[f].is_there)
			return f;
	}
	return WORLD_NONE;
}

static void arrive_some(struct history *h)
{
	uint32_t f = some_present(h);

	if (chance(60) && h->w.functions[h->hot].is_there)
		f = h->hot;
	for (uint32_t n = chance(10) ? 10 : 1; n > 0 && f != WORLD_NONE; n--)
		world_arrive(&h->w, f, chance(20) ? h->w.now + draw(50) * MS : 0);
}

static void fail(struct history *h, uint32_t slot)
{
	if (chance(50))
		world_poison(&h->w, slot);
	else
		world_gone(&h->w, slot);
}

static void go_on_some(struct history *h)
{
	struct world *w = &h->w;
	uint32_t slot = draw(w->limits.slots);

	if (w->slots[slot].state == WORLD_FREE)
		return;
	if (chance(h->failing))
		fail(h, slot);
	else if (w->slots[slot].state == WORLD_BUSY && chance(20))
		w->slots[slot].sleeps = true;
	else if (w->slots[slot].state == WORLD_BUSY)
		world_reply(w, slot);
	else
		world_go_on(w, slot);
}

/* It may be refused. */
static void change_some(struct history *h)
{
	uint32_t f = some_present(h);
	struct policy_function c = some_function(h, h->w.is_uniform);

	if (f == WORLD_NONE || chance(20))
		world_add(&h->w, &c);
	else if (chance(20))
		world_remove(&h->w, f);
	else
		world_change(&h->w, f, &c);
}

static void step(struct history *h)
{
	uint32_t what = draw(100);

	if (what < 35)
		arrive_some(h);
	else if (what < 85)
		go_on_some(h);
	else if (what < 95)
		world_pass(&h->w, draw(chance(10) ? 100 : 5) * MS);
	else if (what < 97)
		world_press(&h->w, draw(3));
	else if (h->has_changes)
		change_some(h);
}

/* At the end nothing is left that has no reason to be there. */
static void check_rest(struct history *h)
{
	struct world *w = &h->w;

	for (int i = 0; i < 20; i++) {
		world_pass(w, NSEC_PER_SEC);
		world_settle(w);
	}
	for (uint32_t i = 0; i < w->limits.functions; i++) {
		const struct policy_function *c = &w->functions[i].config;
		uint32_t live = world_live(w, i);

		if (!w->functions[i].is_there)
			continue;
		cr_assert(ge(u32, live, c->provisioned), "provisioned slots are missing");
		if (c->idle_timeout > 0)
			cr_assert(le(u32, live, MAX(c->min, c->provisioned)));
	}
	for (uint32_t i = 0; i < w->limits.functions; i++) {
		if (w->functions[i].is_there)
			world_remove(w, i);
	}
	world_settle(w);
	cr_assert(eq(u64, w->memory, 0));
	cr_assert(eq(u32, w->n[WORLD_FREE], w->limits.slots));
}

static void run(uint64_t seed)
{
	static struct history h;
	struct policy_limits limits;
	bool is_uniform;

	state = seed * 0x9e3779b97f4a7c15ull + 1;
	limits = some_limits();
	is_uniform = chance(60);
	h = (struct history){ .has_changes = chance(40), .failing = chance(50) ? draw(20) : 0 };
	world_open(&h.w, &limits);
	for (uint32_t n = 1 + draw(6); n > 0; n--) {
		struct policy_function c = some_function(&h, is_uniform);

		world_add(&h.w, &c);
	}
	h.hot = draw(limits.functions);
	for (uint32_t n = 100 + draw(300); n > 0; n--)
		step(&h);
	world_press(&h.w, POLICY_CALM);
	world_finish(&h.w);
	check_rest(&h);
	world_close(&h.w);
}

Test(policy_histories, keep_every_promise_at_every_step)
{
	uint64_t seed = setting("SEED", 1), n = setting("HISTORIES", 5000);

	for (uint64_t end = seed + n; seed < end; seed++) {
		if (getenv("VERBOSE"))
			cr_log_warn("seed %llu", (unsigned long long)seed);
		run(seed);
	}
}
