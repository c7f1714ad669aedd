/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_policy.h"

#include <criterion/new/assert.h>
#include <stdlib.h>

#include "engine/err.h"

void world_open(struct world *w, const struct policy_limits *limits)
{
	struct err err = { 0 };

	*w = (struct world){ .limits = *limits,
			     .now = NSEC_PER_SEC,
			     .is_uniform = true,
			     .changing = WORLD_NONE,
			     .current = WORLD_NONE,
			     .room = 1024 };
	w->n[WORLD_FREE] = limits->slots;
	w->slots = calloc(limits->slots, sizeof(*w->slots));
	w->functions = calloc(limits->functions, sizeof(*w->functions));
	w->invocations = calloc(w->room, sizeof(*w->invocations));
	must(w->slots && w->functions && w->invocations);
	cr_assert(policy_create(&w->p, limits, &err) == 0, "%s", err.text);
	policy_tick(w->p, w->now);
}

void world_close(struct world *w)
{
	policy_destroy(w->p);
	free(w->slots);
	free(w->functions);
	free(w->invocations);
}

uint32_t world_live(const struct world *w, uint32_t function)
{
	const struct world_function *f = &w->functions[function];

	return f->n[WORLD_STARTING] + f->n[WORLD_IDLE] + f->n[WORLD_BUSY] +
	       f->n[WORLD_REPLIED] + f->n[WORLD_REWINDING];
}

static uint32_t cap(const struct world_function *f)
{
	uint32_t cap = f->config.max ? f->config.max : WORLD_NONE;

	return f->config.is_reserved ? MIN(cap, f->config.reserved) : cap;
}

static void set(struct world *w, uint32_t slot, enum world_state state)
{
	struct world_slot *s = &w->slots[slot];
	struct world_function *f = &w->functions[s->function];

	s->is_asleep = false;
	f->n[s->state]--;
	w->n[s->state]--;
	s->state = state;
	s->since = w->now;
	f->n[state]++;
	w->n[state]++;
}

/* ---- actions ---- */

static void check_most_recent(const struct world *w, uint32_t slot)
{
	const struct world_slot *s = &w->slots[slot];

	for (uint32_t i = 0; i < w->limits.slots; i++) {
		if (i != w->current && w->slots[i].state == WORLD_IDLE &&
		    w->slots[i].function == s->function)
			must(w->slots[i].rested <= s->rested);
	}
}

static void check_first_in_queue(const struct world *w, uint64_t invocation)
{
	for (uint64_t i = 0; i < invocation; i++)
		must(w->invocations[i].is_over || w->invocations[i].is_running ||
			     w->invocations[i].function != w->invocations[invocation].function,
		     "it is overtaken");
}

static void end_invocation(struct world *w, uint64_t name)
{
	struct world_invocation *i = &w->invocations[name];

	must(!i->is_over, "it ends twice");
	w->functions[i->function].queued -= !i->is_running;
	i->is_over = true;
	i->is_running = false;
	w->nover++;
}

static void do_give(struct world *w, const struct policy_action *a)
{
	struct world_slot *s = &w->slots[a->slot];
	struct world_invocation *i = &w->invocations[a->invocation];
	struct world_function *f = &w->functions[a->function];

	must(s->state == WORLD_IDLE);
	must(s->function == a->function);
	must(i->function == a->function);
	must(!(i->is_over || i->is_running));
	must(f->config.mode != POLICY_FRESH || s->last_use == 0);
	must(s->memory == f->config.memory);
	must(world_may_run(w, a->function));
	if (!w->is_large) {
		check_most_recent(w, a->slot);
		check_first_in_queue(w, a->invocation);
	}
	f->touched += s->last_use == 0;
	f->queued--;
	s->last_use = ++w->uses;
	s->invocation = a->invocation;
	i->is_running = true;
	i->given = w->now;
	s->end = f->config.timeout > 0 ? w->now + f->config.timeout : 0;
	if (i->deadline > 0)
		s->end = s->end > 0 ? MIN(s->end, i->deadline) : i->deadline;
	set(w, a->slot, WORLD_BUSY);
	s->sleeps = false;
}

static void do_start(struct world *w, const struct policy_action *a)
{
	struct world_slot *s = &w->slots[a->slot];
	struct world_function *f = &w->functions[a->function];
	uint64_t memory = f->config.memory;

	must(s->state == WORLD_FREE);
	must(f->is_there);
	must(w->pressure != POLICY_CRITICAL);
	must(world_live(w, a->function) < cap(f));
	must(w->memory + memory <= w->limits.memory);
	if (!w->is_large && f->config.is_reserved)
		must(world_reserved_left(w, a->function) > 0, "more than is reserved");
	else if (!w->is_large)
		must(world_shared_memory(w) + memory <= w->limits.memory - world_set_aside(w));
	*s = (struct world_slot){ .function = a->function, .memory = memory };
	f->n[WORLD_FREE]++;
	f->memory += memory;
	w->memory += memory;
	w->nstarts++;
	set(w, a->slot, WORLD_STARTING);
	must(w->limits.starting == 0 || w->n[WORLD_STARTING] <= w->limits.starting);
}

/* Its function could use it again. */
static bool is_of_use(const struct world *w, const struct world_slot *s)
{
	const struct world_function *f = &w->functions[s->function];

	return s->state != WORLD_POISONED && f->is_there && s->memory == f->config.memory &&
	       !(f->config.mode == POLICY_FRESH && s->last_use > 0);
}

static void do_destroy(struct world *w, const struct policy_action *a)
{
	struct world_slot *s = &w->slots[a->slot];
	struct world_function *f = &w->functions[s->function];

	must(s->state == WORLD_IDLE || s->state == WORLD_REPLIED ||
	     s->state == WORLD_REWINDING || s->state == WORLD_POISONED);
	/* A slot that is killed may have been one more when this one was given up. */
	if (is_of_use(w, s) && w->changing != s->function && w->nkills == w->nkills_before)
		must(world_live(w, s->function) > f->config.provisioned,
		     "a provisioned slot is taken");
	w->ndestroys++;
	set(w, a->slot, WORLD_ENDING);
}

static void do_kill(struct world *w, const struct policy_action *a)
{
	struct world_slot *s = &w->slots[a->slot];

	must(a->has_invocation == (s->state == WORLD_BUSY));
	if (s->state == WORLD_BUSY) {
		must(s->end > 0 && s->end <= w->now);
		must(a->invocation == s->invocation);
		end_invocation(w, a->invocation);
		w->invocations[a->invocation].was_killed = true;
	} else {
		must(s->state == WORLD_STARTING || s->state == WORLD_REWINDING);
		must(w->now - s->since >= w->limits.patience);
	}
	w->functions[s->function].has_failed |= s->last_use == 0;
	w->nkills++;
	set(w, a->slot, WORLD_ENDING);
}

static void do_refuse(struct world *w, const struct policy_action *a)
{
	struct world_invocation *i = &w->invocations[a->invocation];

	must(!i->is_running);
	must(i->function == a->function);
	if (a->reason == POLICY_TIMED_OUT)
		must(i->last_moment > 0 && i->last_moment <= w->now);
	if (a->reason == POLICY_DOES_NOT_START)
		must(w->functions[a->function].has_failed);
	end_invocation(w, a->invocation);
	i->was_refused = true;
	i->reason = a->reason;
}

static void do_look(struct world *w, const struct policy_action *a)
{
	struct world_slot *s = &w->slots[a->slot];
	uint32_t queued = 0;

	for (uint32_t i = 0; i < w->limits.functions; i++)
		queued += w->functions[i].queued;
	must(s->state == WORLD_BUSY && !s->is_asleep);
	must(w->now - s->since >= w->limits.glance);
	must(queued > 0 && w->limits.running > 0 &&
		     world_at_work(w, WORLD_NONE, 0) >= w->limits.running,
	     "nobody wants to know");
	w->nlooks++;
	if (!s->sleeps)
		return;
	s->is_asleep = true;
	policy_asleep(w->p, a->slot);
}

static void act(struct world *w, const struct policy_action *a)
{
	if (a->verb != POLICY_REFUSE) {
		must(a->slot < w->limits.slots);
		w->last_slot = a->slot;
	}
	switch (a->verb) {
	case POLICY_GIVE:
		do_give(w, a);
		break;
	case POLICY_REWIND:
		must(w->slots[a->slot].state == WORLD_REPLIED);
		set(w, a->slot, WORLD_REWINDING);
		break;
	case POLICY_START:
		do_start(w, a);
		break;
	case POLICY_DESTROY:
		do_destroy(w, a);
		break;
	case POLICY_KILL:
		do_kill(w, a);
		break;
	case POLICY_REFUSE:
		do_refuse(w, a);
		break;
	case POLICY_LOOK:
		do_look(w, a);
		break;
	}
}

static void drain(struct world *w)
{
	struct policy_action a;

	w->nkills_before = w->nkills;
	while (policy_next(w->p, &a))
		act(w, &a);
	must(!policy_next(w->p, &a));
	world_check(w);
}

/* @slot may be idle now, or given up: that is said last. */
static void drain_after(struct world *w, uint32_t slot)
{
	w->current = slot;
	drain(w);
	w->current = WORLD_NONE;
}

/* ---- events ---- */

struct policy_function world_plain(void)
{
	return (struct policy_function){ .memory = 1, .weight = 1, .max_queued = 100 };
}

static void note_config(struct world *w, uint32_t function, const struct policy_function *c)
{
	w->functions[function].config = *c;
	w->is_uniform &= c->memory == 1;
}

uint32_t world_add(struct world *w, const struct policy_function *config)
{
	int number = policy_add(w->p, config, NULL);

	if (number < 0)
		return WORLD_NONE;
	must(!w->functions[number].is_there);
	w->functions[number] = (struct world_function){ .is_there = true };
	note_config(w, number, config);
	w->was_lowered |= config->is_reserved && w->memory > 0;
	drain(w);
	return number;
}

bool world_change(struct world *w, uint32_t function, const struct policy_function *config)
{
	if (policy_change(w->p, function, config, NULL) < 0)
		return false;
	note_config(w, function, config);
	w->was_lowered = true;
	w->changing = function;
	drain(w);
	w->changing = WORLD_NONE;
	return true;
}

void world_remove(struct world *w, uint32_t function)
{
	w->functions[function].is_there = false;
	policy_remove(w->p, function);
	drain(w);
}

void world_pass(struct world *w, nsec_t span)
{
	w->now += span;
	policy_tick(w->p, w->now);
	drain(w);
}

uint64_t world_arrive(struct world *w, uint32_t function, nsec_t deadline)
{
	nsec_t wait = w->functions[function].config.wait;
	struct world_invocation *i;

	if (w->ninvocations == w->room) {
		w->room *= 2;
		w->invocations = realloc(w->invocations, w->room * sizeof(*w->invocations));
		must(w->invocations != NULL);
	}
	i = &w->invocations[w->ninvocations];
	*i = (struct world_invocation){ .function = function,
					.deadline = deadline,
					.last_moment = deadline,
					.arrived = w->now };
	if (wait > 0)
		i->last_moment = deadline > 0 ? MIN(deadline, w->now + wait) : w->now + wait;
	w->functions[function].queued++;
	policy_arrive(w->p, function, w->ninvocations++, deadline);
	drain(w);
	return w->ninvocations - 1;
}

void world_ready(struct world *w, uint32_t slot)
{
	must(w->slots[slot].state == WORLD_STARTING);
	set(w, slot, WORLD_IDLE);
	policy_ready(w->p, slot);
	drain_after(w, slot);
}

void world_reply(struct world *w, uint32_t slot)
{
	struct world_slot *s = &w->slots[slot];
	bool is_reused = w->functions[s->function].config.mode == POLICY_REUSE;

	must(s->state == WORLD_BUSY);
	end_invocation(w, s->invocation);
	w->invocations[s->invocation].was_answered = true;
	s->rested = ++w->uses;
	set(w, slot, is_reused ? WORLD_IDLE : WORLD_REPLIED);
	must(policy_replied(w->p, slot));
	drain_after(w, slot);
}

void world_rewound(struct world *w, uint32_t slot)
{
	must(w->slots[slot].state == WORLD_REWINDING);
	set(w, slot, WORLD_IDLE);
	w->slots[slot].rested = ++w->uses;
	policy_rewound(w->p, slot);
	drain_after(w, slot);
}

/* Returns whether an invocation is lost with it. */
static bool lose(struct world *w, uint32_t slot)
{
	struct world_slot *s = &w->slots[slot];
	bool was_busy = s->state == WORLD_BUSY;

	if (was_busy) {
		end_invocation(w, s->invocation);
		w->invocations[s->invocation].was_lost = true;
	}
	w->functions[s->function].has_failed |= s->last_use == 0 && s->state != WORLD_ENDING;
	return was_busy;
}

void world_poison(struct world *w, uint32_t slot)
{
	bool was_busy = lose(w, slot);

	if (w->slots[slot].state != WORLD_ENDING)
		set(w, slot, WORLD_POISONED);
	must(policy_poisoned(w->p, slot) == was_busy);
	drain(w);
}

void world_gone(struct world *w, uint32_t slot)
{
	struct world_slot *s = &w->slots[slot];
	struct world_function *f = &w->functions[s->function];
	bool was_busy = lose(w, slot);

	set(w, slot, WORLD_FREE);
	f->n[WORLD_FREE]--;
	f->memory -= s->memory;
	w->memory -= s->memory;
	must(policy_gone(w->p, slot) == was_busy);
	drain(w);
}

void world_press(struct world *w, enum policy_pressure pressure)
{
	w->pressure = pressure;
	policy_pressure(w->p, pressure);
	drain(w);
}

bool world_go_on(struct world *w, uint32_t slot)
{
	enum world_state state = w->slots[slot].state;

	if (state == WORLD_STARTING)
		world_ready(w, slot);
	else if (state == WORLD_REWINDING)
		world_rewound(w, slot);
	else if (state == WORLD_ENDING)
		world_gone(w, slot);
	else
		return false;
	return true;
}

void world_settle(struct world *w)
{
	bool goes_on = true;

	while (goes_on) {
		goes_on = false;
		for (uint32_t i = 0; i < w->limits.slots; i++)
			goes_on |= world_go_on(w, i);
	}
}

void world_finish(struct world *w)
{
	for (uint32_t rounds = 0; w->nover < w->ninvocations; rounds++) {
		uint32_t before = w->nover;

		must(rounds < 100000, "somebody starves");
		world_settle(w);
		for (uint32_t i = 0; i < w->limits.slots; i++) {
			if (w->slots[i].state == WORLD_BUSY)
				world_reply(w, i);
		}
		if (w->nover == before && policy_wake(w->p) > w->now)
			world_pass(w, policy_wake(w->p) - w->now);
	}
	world_settle(w);
}

uint32_t world_at_work(const struct world *w, uint32_t function, nsec_t span)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->limits.slots; i++) {
		const struct world_slot *s = &w->slots[i];

		n += s->state == WORLD_BUSY && !s->is_asleep &&
		     (function == WORLD_NONE || s->function == function) &&
		     (span == 0 || w->now - s->since < span);
	}
	return n;
}

bool world_may_run(const struct world *w, uint32_t function)
{
	uint32_t most = w->limits.running;
	nsec_t glance = w->limits.glance;

	return most == 0 || world_at_work(w, WORLD_NONE, 64 * glance) < most ||
	       (glance > 0 && world_at_work(w, function, 64 * glance) == 0 &&
		world_at_work(w, WORLD_NONE, glance) < most);
}

uint32_t world_slot_of(const struct world *w, uint64_t invocation)
{
	for (uint32_t i = 0; i < w->limits.slots; i++) {
		if (w->slots[i].state == WORLD_BUSY && w->slots[i].invocation == invocation)
			return i;
	}
	return WORLD_NONE;
}

const struct policy_limits world_ample = {
	.memory = 100,
	.slots = 100,
	.functions = 10,
	.linger = NSEC_PER_SEC,
	.turn = 10 * NSEC_PER_MSEC,
};

void world_open_small(struct world *w, uint32_t memory)
{
	struct policy_limits limits = world_ample;

	limits.memory = memory;
	world_open(w, &limits);
}

uint32_t world_add_plain(struct world *w)
{
	struct policy_function c = world_plain();

	return world_add(w, &c);
}

void world_occupy(struct world *w, uint32_t function, uint32_t n)
{
	while (n-- > 0)
		world_arrive(w, function, 0);
	world_settle(w);
}

void world_reply_to(struct world *w, uint64_t invocation)
{
	uint32_t slot = world_slot_of(w, invocation);

	must(slot != WORLD_NONE);
	world_reply(w, slot);
}

void world_reply_all(struct world *w, uint32_t function)
{
	for (uint32_t i = 0; i < w->limits.slots; i++) {
		if (w->slots[i].state == WORLD_BUSY && w->slots[i].function == function)
			world_reply(w, i);
	}
	world_settle(w);
}
