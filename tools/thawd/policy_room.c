/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_room.c - the budget, and whose slot makes room for whom.
 *
 * A function, or a group, with something reserved has a part of the budget for itself; all others
 * share the rest. So slots are only taken from one another within a group, and within the rest.
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

enum { TOTAL, OWN, SHARED, PARTS };

/* What @f has together with others. */
static const struct part *part_of(const struct policy *p, const struct function *f)
{
	return f->group ? &f->group->part : &p->shared;
}

/* The parts of the budget that a slot of @f counts in. */
static void parts_of(struct policy *p, struct function *f, struct part *parts[PARTS])
{
	parts[TOTAL] = &p->total;
	parts[OWN] = &f->own;
	parts[SHARED] = f->group ? &f->group->part : &p->shared;
}

void policy_room_take(struct policy *p, const struct slot *s)
{
	struct part *parts[PARTS];

	parts_of(p, s->f, parts);
	for (int i = 0; i < PARTS; i++)
		add(&parts[i]->used, times(s->memory, 1));
}

void policy_room_end(struct policy *p, const struct slot *s)
{
	struct part *parts[PARTS];

	parts_of(p, s->f, parts);
	for (int i = 0; i < PARTS; i++)
		add(&parts[i]->ending, times(s->memory, 1));
}

void policy_room_give(struct policy *p, const struct slot *s)
{
	struct part *parts[PARTS];

	parts_of(p, s->f, parts);
	for (int i = 0; i < PARTS; i++) {
		subtract(&parts[i]->used, times(s->memory, 1));
		subtract(&parts[i]->ending, times(s->memory, 1));
	}
}

/* ---- what is set aside and promised ---- */

static struct room reserved(const struct policy *p, const struct function *f,
			    const struct policy_function *c)
{
	return c->is_reserved ? policy_group_growth(p, f, c) : (struct room){ 0 };
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
	struct part *parts[PARTS];

	add(&p->set_aside, reserved(p, f, &f->config));
	add(&p->promised, promised(&f->config));
	if (f->config.is_reserved)
		policy_group_join(p, f);
	parts_of(p, f, parts);
	add(&parts[SHARED]->used, f->own.used);
	add(&parts[SHARED]->ending, f->own.ending);
	share_the_rest(p);
}

void policy_room_uncount(struct policy *p, struct function *f)
{
	struct part *parts[PARTS];

	parts_of(p, f, parts);
	subtract(&parts[SHARED]->used, f->own.used);
	subtract(&parts[SHARED]->ending, f->own.ending);
	if (f->group)
		policy_group_leave(f);
	subtract(&p->set_aside, reserved(p, f, &f->config));
	subtract(&p->promised, promised(&f->config));
	share_the_rest(p);
}

int policy_room_admit(const struct policy *p, const struct function *f,
		      const struct policy_function *config, struct err *err)
{
	struct room sum = p->set_aside;

	add(&sum, p->promised);
	if (f) {
		subtract(&sum, reserved(p, f, &f->config));
		subtract(&sum, promised(&f->config));
	}
	add(&sum, reserved(p, f, config));
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

	return part_fits(&p->total, bytes) && part_fits(part_of(p, f), bytes);
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
		return part_fits(&f->group->part, f->config.memory);
	return policy_room_ever_fits(p, f);
}

bool policy_room_is_over(const struct policy *p, const struct function *f)
{
	const struct part *part = part_of(p, f);
	struct room r = part->used;

	subtract(&r, part->ending);
	return !is_within(r, &part->limit);
}

/* ---- whose room ---- */

/* How many slots of so many bytes there will be room for when what is ending is gone. */
static uint64_t part_left(const struct part *part, uint64_t bytes)
{
	struct room used = part->used;

	subtract(&used, part->ending);
	if (!is_within(used, &part->limit))
		return 0;
	return MIN((part->limit.bytes - used.bytes) / bytes, part->limit.slots - used.slots);
}

bool policy_room_may_take(const struct function *f)
{
	return f->group && part_left(&f->group->part, f->config.memory) == 0 &&
	       policy_group_oldest(f);
}

static uint64_t room_left(const struct policy *p, const struct function *f)
{
	uint64_t bytes = f->config.memory;

	return MIN(part_left(&p->total, bytes), part_left(part_of(p, f), bytes));
}

/* How many of those that @f shares with need a slot and have none; of a group, @f itself. */
static uint32_t nfirst(const struct policy *p, const struct function *f)
{
	return f->group ? function_live(f) == 0 : p->nfirst;
}

/* Of others, how many slots @f, the first of the needy, makes room for at once: a slot takes a
 * while to go, and who comes after @f is not to wait for that one by one. */
static uint64_t wanted(const struct policy *p, const struct function *f)
{
	uint32_t live = function_live(f), limit = p->limits.starting;
	uint32_t n = MIN(f->nqueued - MIN(f->nqueued, function_coming(f)),
			 function_cap(f) - MIN(live, function_cap(f)));

	if (live == 0)
		n = MAX(n, nfirst(p, f));
	if (function_lacks_provisioned(f))
		n = MAX(n, f->config.provisioned - live);
	return limit > 0 ? MIN(n, limit - MIN(limit, p->n[SLOT_STARTING])) : n;
}

static uint64_t share_of(uint64_t bytes, const struct function *f)
{
	return (bytes << 10) / f->config.weight; /* ten bits for what division loses */
}

uint64_t policy_room_share(const struct function *f)
{
	return share_of(f->held, f);
}

/*
 * Would @taker, with what there will be room for and one slot more, still hold less than
 * @giver does now? Then @giver is not the one with less afterwards, and takes nothing back.
 */
static bool is_entitled(const struct function *taker, uint64_t left,
			const struct function *giver)
{
	uint64_t then = taker->held + (left + 1) * taker->config.memory;

	return function_lacks_provisioned(taker) ||
	       share_of(then, taker) < policy_room_share(giver);
}

struct slot *policy_room_victim(const struct policy *p, const struct function *f)
{
	struct heap_node *oldest = heap_first(&p->sides[SIDE_SHARED].oldest);
	struct heap_node *richest = heap_first(&p->richest);
	const struct function *giver;
	uint64_t left = room_left(p, f);

	if (left >= wanted(p, f))
		return NULL;
	if (f->group) {
		giver = policy_group_oldest(f);
		return giver ? function_lru(giver) : NULL;
	}
	if (!oldest)
		return NULL;
	giver = container_of(oldest, struct function, oldest);
	if (p->now - function_lru(giver)->since >= p->limits.linger)
		return function_lru(giver);
	giver = container_of(richest, struct function, richest);
	if (is_entitled(f, left, giver) || (function_live(f) == 0 && left < nfirst(p, f)))
		return function_lru(giver);
	return NULL;
}

/* Of those that @f shares with, who is to have the next slot. */
static const struct function *first_needy(const struct policy *p, const struct function *f)
{
	struct heap_node *first = heap_first(&p->sides[SIDE_SHARED].needy);
	const struct function *g;

	if (f->group)
		return policy_group_needy(f);
	g = first ? container_of(first, struct function, needy) : NULL;
	return g && g != f && policy_function_needs(p, g) ? g : NULL;
}

bool policy_room_yields(const struct policy *p, const struct slot *s)
{
	const struct function *f = s->f, *taker = first_needy(p, f);
	uint64_t left;

	if (!taker || !s->was_used || function_live(f) <= f->config.provisioned)
		return false; /* unused: it was started to serve one at least */
	if (!policy_may_start(p, taker))
		return false;
	left = room_left(p, taker);
	if (left >= wanted(p, taker))
		return false;
	return is_entitled(taker, left, f) ||
	       (function_live(taker) == 0 && left < nfirst(p, taker) &&
		p->now - s->ready_at >= p->limits.turn * f->config.weight);
}

bool policy_may_start(const struct policy *p, const struct function *f)
{
	const struct policy_limits *l = &p->limits;

	if (p->pressure == POLICY_CRITICAL)
		return false;
	if (l->starting > 0 && p->n[SLOT_STARTING] >= l->starting)
		return false;
	/* More than may run would only wait, unless all others of @f are not ready, either. */
	return function_lacks_provisioned(f) || function_live(f) == f->n[SLOT_REWINDING] ||
	       policy_run_may(p, f, p->n[SLOT_STARTING]);
}
