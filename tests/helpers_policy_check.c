/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_policy_check.c - what must be so when the policy has nothing more to say. */
#include "tests/helpers_policy.h"

static uint32_t nslots(const struct world_function *f)
{
	uint32_t n = 0;

	for (int i = WORLD_STARTING; i < WORLD_STATES; i++)
		n += f->n[i];
	return n;
}

/* ---- the budget ---- */

/* Also one that was removed, as long as it has slots. */
static bool has_reserved(const struct world_function *f)
{
	return f->config.is_reserved && (f->is_there || nslots(f) > 0);
}

/* Functions @i and @j have what is reserved together. */
static bool is_together(const struct world *w, uint32_t i, uint32_t j)
{
	const struct world_function *f = &w->functions[i], *g = &w->functions[j];

	if (!has_reserved(g))
		return false;
	return i == j || (f->config.group > 0 && f->config.group == g->config.group);
}

/* Of all that function @i has that together with. */
struct group {
	uint32_t first; /* function */
	uint32_t reserved, nslots;
	uint32_t nspare;  /* idle ones that their functions do not need */
	uint32_t nending; /* or poisoned */
	uint64_t memory;  /* of the largest slot */
};

static struct group group_of(const struct world *w, uint32_t i)
{
	struct group g = { .first = WORLD_NONE };

	for (uint32_t j = 0; j < w->limits.functions; j++) {
		const struct world_function *f = &w->functions[j];

		if (!is_together(w, i, j))
			continue;
		g.first = MIN(g.first, j);
		g.reserved = MAX(g.reserved, f->config.reserved);
		g.memory = MAX(g.memory, f->config.memory);
		g.nslots += nslots(f);
		g.nending += f->n[WORLD_ENDING];
		if (f->n[WORLD_IDLE] > f->queued && world_live(w, j) > f->config.provisioned)
			g.nspare++;
	}
	return g;
}

uint32_t world_reserved_left(const struct world *w, uint32_t function)
{
	struct group g = group_of(w, function);

	return g.reserved - MIN(g.nslots, g.reserved);
}

uint64_t world_set_aside(const struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->limits.functions; i++) {
		struct group g = group_of(w, i);

		if (is_together(w, i, i) && g.first == i)
			sum += g.reserved * g.memory;
	}
	return sum;
}

uint64_t world_shared_memory(const struct world *w)
{
	uint64_t sum = w->memory;

	for (uint32_t i = 0; i < w->limits.functions; i++) {
		if (has_reserved(&w->functions[i]))
			sum -= w->functions[i].memory;
	}
	return sum;
}

/* ---- checks ---- */

static void check_counts(const struct world *w)
{
	struct policy_counts all = policy_count_all(w->p);

	must(w->n[WORLD_REPLIED] == 0);
	must(w->n[WORLD_POISONED] == 0);
	must(all.memory == w->memory);
	must(all.starting == w->n[WORLD_STARTING]);
	must(all.idle == w->n[WORLD_IDLE]);
	must(all.busy == w->n[WORLD_BUSY]);
	must(all.rewinding == w->n[WORLD_REWINDING]);
	must(all.ending == w->n[WORLD_ENDING]);
	must(w->nover + all.queued + all.busy == w->ninvocations);
	must(w->memory <= w->limits.memory);
}

static void check_times(const struct world *w)
{
	for (uint32_t i = 0; i < w->limits.slots; i++) {
		const struct world_slot *s = &w->slots[i];

		if (s->state == WORLD_BUSY)
			must(s->end == 0 || s->end > w->now);
		if (s->state == WORLD_STARTING || s->state == WORLD_REWINDING)
			must(w->limits.patience == 0 || w->now - s->since < w->limits.patience);
	}
	for (uint32_t i = 0; i < w->ninvocations; i++) {
		const struct world_invocation *v = &w->invocations[i];

		must(v->is_over || v->is_running || v->last_moment == 0 ||
			     v->last_moment > w->now,
		     "it waits too long");
	}
}

/* Is there an idle slot that @function, which has none, may have destroyed? */
static bool has_victim(const struct world *w)
{
	for (uint32_t i = 0; i < w->limits.functions; i++) {
		const struct world_function *f = &w->functions[i];

		if (f->n[WORLD_IDLE] > f->queued &&
		    (!f->is_there ||
		     (!f->config.is_reserved && world_live(w, i) > f->config.provisioned)))
			return true;
	}
	return false;
}

static uint64_t ending_memory(const struct world *w)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < w->limits.slots; i++)
		sum += w->slots[i].state == WORLD_ENDING ? w->slots[i].memory : 0;
	return sum;
}

/* How many slots of one byte the functions that share may have in all. */
static uint64_t shared_limit(const struct world *w)
{
	return MIN(w->limits.memory, w->limits.slots) - world_set_aside(w);
}

/* Nobody waits for a first slot while there is room for one, or somebody who could make it. */
static void check_first_slot(const struct world *w, uint32_t i)
{
	if (w->functions[i].config.is_reserved) {
		struct group g = group_of(w, i);

		must(w->was_lowered || g.nslots >= g.reserved, "what is reserved is not given");
		must(w->was_lowered || g.nending > 0 || g.nspare == 0,
		     "another of its group could make room");
	} else if (w->is_uniform && !w->was_lowered) {
		must(world_shared_memory(w) >= shared_limit(w), "there is room");
		must(ending_memory(w) > 0 || !has_victim(w), "somebody could make room");
	}
}

/* May it leave its idle slots alone, which were never used? For how long is not looked at here. */
static bool waits_for_rewinds(const struct world *w, uint32_t function)
{
	const struct world_function *f = &w->functions[function];

	for (uint32_t i = 0; i < w->limits.slots; i++) {
		const struct world_slot *s = &w->slots[i];

		if (s->function == function && s->state == WORLD_IDLE && s->last_use > 0)
			return false;
	}
	return w->limits.glance > 0 && f->n[WORLD_REWINDING] >= f->queued;
}

static void check_functions(const struct world *w)
{
	const struct policy_limits *l = &w->limits;
	bool may_start = w->pressure != POLICY_CRITICAL &&
			 (l->starting == 0 || w->n[WORLD_STARTING] < l->starting);

	for (uint32_t i = 0; i < l->functions; i++) {
		const struct world_function *f = &w->functions[i];
		struct policy_counts c;

		if (!f->is_there)
			continue;
		c = policy_count(w->p, i);
		must(c.queued == f->queued);
		must(c.idle == f->n[WORLD_IDLE]);
		must(c.memory == f->memory);
		must(f->queued <= f->config.max_queued);
		if (world_may_run(w, i) && !waits_for_rewinds(w, i))
			must(f->queued == 0 || f->n[WORLD_IDLE] == 0,
			     "an invocation waits beside an idle slot");
		if (f->queued > 0 && world_live(w, i) == 0 && may_start && !f->has_failed)
			check_first_slot(w, i);
	}
}

void world_check(const struct world *w)
{
	check_counts(w);
	if (!w->is_large) {
		check_times(w);
		check_functions(w);
	}
}
