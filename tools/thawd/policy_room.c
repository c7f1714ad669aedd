/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_room.c - the budget, and whose slot makes room for whom.
 *
 * A function with something reserved has a part of the budget for itself; all others share the
 * rest. So only those ever take a slot from one another, and from nobody else.
 */
#include "tools/thawd/policy_state.h"

#include "engine/err.h"

#define MIB (UINT64_C(1) << 20)

static struct room times(uint64_t bytes, uint32_t n)
{
	return (struct room){ .bytes = bytes * n, .slots = n };
}

static void add(struct room *r, struct room more)
{
	r->bytes += more.bytes;
	r->slots += more.slots;
}

static void subtract(struct room *r, struct room less)
{
	r->bytes -= less.bytes;
	r->slots -= less.slots;
}

static bool is_within(struct room r, const struct room *limit)
{
	return r.bytes <= limit->bytes && r.slots <= limit->slots;
}

/* ---- what slots take ---- */

/* The parts of the budget that a slot of @f counts in; the last is NULL for some. */
static void parts_of(struct policy *p, struct function *f, struct part *parts[3])
{
	parts[0] = &p->total;
	parts[1] = &f->own;
	parts[2] = f->config.is_reserved ? NULL : &p->shared;
}

void policy_room_take(struct policy *p, const struct slot *s)
{
	struct part *parts[3];

	parts_of(p, s->f, parts);
	for (uint32_t i = 0; i < ARRAY_SIZE(parts) && parts[i]; i++)
		add(&parts[i]->used, times(s->memory, 1));
}

void policy_room_end(struct policy *p, const struct slot *s)
{
	struct part *parts[3];

	parts_of(p, s->f, parts);
	for (uint32_t i = 0; i < ARRAY_SIZE(parts) && parts[i]; i++)
		add(&parts[i]->ending, times(s->memory, 1));
}

void policy_room_give(struct policy *p, const struct slot *s)
{
	struct part *parts[3];

	parts_of(p, s->f, parts);
	for (uint32_t i = 0; i < ARRAY_SIZE(parts) && parts[i]; i++) {
		subtract(&parts[i]->used, times(s->memory, 1));
		subtract(&parts[i]->ending, times(s->memory, 1));
	}
}

/* ---- what is set aside and promised ---- */

static struct room reserved(const struct policy_function *c)
{
	return times(c->memory, c->is_reserved ? c->reserved : 0);
}

static struct room promised(const struct policy_function *c)
{
	return times(c->memory, c->is_reserved ? 0 : c->provisioned);
}

static void share_the_rest(struct policy *p)
{
	p->shared.limit = p->total.limit;
	subtract(&p->shared.limit, p->set_aside);
}

void policy_room_count(struct policy *p, struct function *f)
{
	f->own.limit = f->config.is_reserved ? reserved(&f->config) : p->total.limit;
	add(&p->set_aside, reserved(&f->config));
	add(&p->promised, promised(&f->config));
	if (!f->config.is_reserved) {
		add(&p->shared.used, f->own.used);
		add(&p->shared.ending, f->own.ending);
	}
	share_the_rest(p);
}

void policy_room_uncount(struct policy *p, struct function *f)
{
	subtract(&p->set_aside, reserved(&f->config));
	subtract(&p->promised, promised(&f->config));
	if (!f->config.is_reserved) {
		subtract(&p->shared.used, f->own.used);
		subtract(&p->shared.ending, f->own.ending);
	}
	share_the_rest(p);
}

int policy_room_admit(const struct policy *p, const struct function *f,
		      const struct policy_function *config, struct err *err)
{
	struct room sum = p->set_aside;

	add(&sum, p->promised);
	if (f) {
		subtract(&sum, reserved(&f->config));
		subtract(&sum, promised(&f->config));
	}
	add(&sum, reserved(config));
	add(&sum, promised(config));
	if (!config->is_reserved && config->provisioned == 0)
		add(&sum, times(config->memory, 1)); /* that at least */
	if (is_within(sum, &p->total.limit))
		return 0;
	return err_set(err, ENOMEM,
		       "with what is set aside for others this needs %llu MiB and %u slots, "
		       "there are %llu MiB and %u slots",
		       (unsigned long long)((sum.bytes + MIB - 1) / MIB), sum.slots,
		       (unsigned long long)(p->total.limit.bytes / MIB), p->total.limit.slots);
}

/* ---- is there room? ---- */

static bool part_fits(const struct part *part, uint64_t bytes)
{
	struct room r = part->used;

	add(&r, times(bytes, 1));
	return is_within(r, &part->limit);
}

bool policy_room_fits(const struct policy *p, const struct function *f)
{
	uint64_t bytes = f->config.memory;

	return part_fits(&p->total, bytes) &&
	       part_fits(f->config.is_reserved ? &f->own : &p->shared, bytes);
}

/* Would it fit if what is ending were gone? */
static bool will_fit(const struct part *part, uint64_t bytes)
{
	struct part then = *part;

	subtract(&then.used, part->ending);
	return part_fits(&then, bytes);
}

static bool room_will_fit(const struct policy *p, const struct function *f)
{
	return will_fit(&p->total, f->config.memory) && will_fit(&p->shared, f->config.memory);
}

bool policy_room_ever_fits(const struct policy *p, const struct function *f)
{
	struct room r = p->promised;

	if (f->config.is_reserved || function_lacks_provisioned(f))
		return true;
	subtract(&r, promised(&f->config));
	add(&r, (struct room){ .bytes = f->held, .slots = function_live(f) });
	add(&r, times(f->config.memory, 1));
	return is_within(r, &p->shared.limit);
}

bool policy_room_may_grow(const struct policy *p, const struct function *f)
{
	if (f->config.is_reserved)
		return part_fits(&f->own, f->config.memory);
	return policy_room_ever_fits(p, f);
}

bool policy_room_is_over(const struct policy *p)
{
	struct room r = p->shared.used;

	subtract(&r, p->shared.ending);
	return !is_within(r, &p->shared.limit);
}

/* ---- whose room ---- */

static uint64_t share_of(uint64_t bytes, const struct function *f)
{
	return (bytes << 10) / f->config.weight; /* ten bits for what division loses */
}

uint64_t policy_room_share(const struct function *f)
{
	return share_of(f->held, f);
}

/*
 * Would @taker with one more slot still hold less than @giver does now? Then @giver is not
 * the one with less afterwards, and nothing is taken back.
 */
static bool is_entitled(const struct function *taker, const struct function *giver)
{
	return function_lacks_provisioned(taker) ||
	       share_of(taker->held + taker->config.memory, taker) < policy_room_share(giver);
}

struct slot *policy_room_victim(const struct policy *p, const struct function *f)
{
	struct heap_node *oldest = heap_first(&p->sides[SIDE_SHARED].oldest);
	struct heap_node *richest = heap_first(&p->richest);
	const struct function *giver;

	if (!oldest || f->config.is_reserved || room_will_fit(p, f))
		return NULL;
	giver = container_of(oldest, struct function, oldest);
	if (p->now - function_lru(giver)->since >= p->limits.linger)
		return function_lru(giver);
	giver = container_of(richest, struct function, richest);
	if (is_entitled(f, giver) || function_live(f) == 0)
		return function_lru(giver);
	return NULL;
}

bool policy_may_start(const struct policy *p, const struct function *f)
{
	const struct policy_limits *l = &p->limits;

	if (p->pressure == POLICY_CRITICAL)
		return false;
	if (l->starting > 0 && p->n[SLOT_STARTING] >= l->starting)
		return false;
	/* One more than may run would only wait; a first one is waited for. */
	return l->running == 0 || function_live(f) == 0 || function_lacks_provisioned(f) ||
	       p->n[SLOT_BUSY] + p->n[SLOT_STARTING] < l->running;
}

bool policy_room_yields(const struct policy *p, const struct slot *s)
{
	const struct function *f = s->f, *taker;
	struct heap_node *needy = heap_first(&p->sides[SIDE_SHARED].needy);

	if (!needy || f->config.is_reserved || function_live(f) <= f->config.provisioned)
		return false;
	taker = container_of(needy, struct function, needy);
	if (taker == f || !policy_function_needs(p, taker) || !policy_may_start(p, taker) ||
	    room_will_fit(p, taker))
		return false;
	return is_entitled(taker, f) ||
	       (function_live(taker) == 0 &&
		p->now - s->ready_at >= p->limits.turn * f->config.weight);
}
