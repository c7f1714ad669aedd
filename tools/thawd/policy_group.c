/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_group.c - functions that share what is reserved.
 *
 * They are few, so nothing is kept in order: whoever is asked for is looked for. A slot that one does
 * not need is there for another at once; those in use are given up by policy_room_yields.
 */
#include "tools/thawd/policy_state.h"

/* ---- who is in which ---- */

struct group *policy_group_find(const struct policy *p, uint32_t name)
{
	for (uint32_t i = 0; name > 0 && i < p->limits.functions; i++) {
		if (p->groups[i].name == name && !TAILQ_EMPTY(&p->groups[i].members))
			return &p->groups[i];
	}
	return NULL;
}

/* There is one for each function. */
static struct group *find_unused(const struct policy *p)
{
	uint32_t i = 0;

	while (!TAILQ_EMPTY(&p->groups[i].members))
		i++;
	return &p->groups[i];
}

/* For those of @g but @but, and for @more; each may be NULL. As many slots as one of them may have at
 * most, as large as the largest. */
static struct room room_of(const struct group *g, const struct function *but,
			   const struct policy_function *more)
{
	uint64_t bytes = more ? more->memory : 0;
	uint32_t slots = more ? more->reserved : 0;
	const struct function *f;

	for (f = g ? TAILQ_FIRST(&g->members) : NULL; f; f = TAILQ_NEXT(f, sibling)) {
		if (f == but)
			continue;
		bytes = MAX(bytes, f->config.memory);
		slots = MAX(slots, f->config.reserved);
	}
	return (struct room){ .bytes = bytes * slots, .slots = slots };
}

void policy_group_join(struct policy *p, struct function *f)
{
	struct group *g = policy_group_find(p, f->config.group);

	if (!g) {
		g = find_unused(p);
		g->name = f->config.group;
	}
	TAILQ_INSERT_TAIL(&g->members, f, sibling);
	f->group = g;
	g->part.limit = room_of(g, NULL, NULL);
}

void policy_group_leave(struct function *f)
{
	struct group *g = f->group;

	TAILQ_REMOVE(&g->members, f, sibling);
	f->group = NULL;
	g->part.limit = room_of(g, NULL, NULL);
}

struct room policy_group_growth(const struct policy *p, const struct function *f,
				const struct policy_function *config)
{
	const struct group *g = policy_group_find(p, config->group);
	struct room after = room_of(g, f, config), before = room_of(g, f, NULL);

	return (struct room){ .bytes = after.bytes - before.bytes,
			      .slots = after.slots - before.slots };
}

uint32_t policy_group_provisioned(const struct group *g, const struct function *but)
{
	const struct function *f;
	uint32_t sum = 0;

	for (f = g ? TAILQ_FIRST(&g->members) : NULL; f; f = TAILQ_NEXT(f, sibling))
		sum += f == but ? 0 : f->config.provisioned;
	return sum;
}

/* ---- whose slot ---- */

struct function *policy_group_oldest(const struct function *f)
{
	struct function *g, *oldest = NULL;

	TAILQ_FOREACH(g, &f->group->members, sibling)
	{
		if (g != f && g->oldest.at > 0 &&
		    (!oldest || function_lru(g)->since < function_lru(oldest)->since))
			oldest = g;
	}
	return oldest;
}

struct function *policy_group_needy(const struct function *f)
{
	struct function *g, *poorest = NULL;

	TAILQ_FOREACH(g, &f->group->members, sibling)
	{
		if (g != f && policy_function_wants(g) &&
		    (!poorest || policy_room_share(g) < policy_room_share(poorest)))
			poorest = g;
	}
	return poorest;
}
