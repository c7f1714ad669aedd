/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_run.c - who is at work, and whose turn is next, where not all may be at work at once.
 *
 * Of those at work, who has been for less than a glance is young. That many, and no more, keep
 * others from running: a function with nobody at work waits no longer than a glance.
 */
#include "tools/thawd/policy_state.h"

/* Times limits.glance; ours. Who has worked for that long shares processors with others as the
 * host's scheduler likes: a turn here is for those that are soon over. */
#define LEFT_ALONE 64u

/* ---- time ---- */

/*
 * Start-time fair queueing: the function's tag is the virtual time at which its next invocation
 * starts. How long this one takes is charged as the last ones took, and put right at its
 * end. Source: Goyal, Vin, Cheng, SIGCOMM 1996.
 */
static void charge(struct policy *p, struct slot *s)
{
	struct function *f = s->f;

	if ((int64_t)(f->tag - p->virtual_time) > 0)
		p->virtual_time = f->tag;
	s->charged = f->estimate;
	f->tag += s->charged / f->config.weight;
}

static void charge_rest(struct policy *p, struct slot *s)
{
	struct function *f = s->f;
	nsec_t took = p->now - s->since;

	f->tag += took / f->config.weight - s->charged / f->config.weight;
	f->estimate = f->estimate - f->estimate / 8 + took / 8; /* ours: of about eight */
}

/* ---- at work ---- */

void policy_run_begin(struct policy *p, struct slot *s)
{
	charge(p, s);
	s->work = WORK_COUNTED;
	s->f->nworking++;
	p->nworking++;
	s->look_at = p->now + p->limits.glance;
	TAILQ_INSERT_TAIL(&p->working, s, link);
}

static void stop_counting(struct policy *p, struct slot *s, enum work then)
{
	TAILQ_REMOVE(&p->working, s, link);
	s->f->nworking--;
	p->nworking--;
	s->work = then;
}

void policy_run_end(struct policy *p, struct slot *s)
{
	if (s->work != WORK_ASLEEP)
		charge_rest(p, s);
	if (s->work == WORK_COUNTED)
		stop_counting(p, s, WORK_ASLEEP);
}

/* What it does after it wakes is neither counted nor charged. */
void policy_run_sleep(struct policy *p, struct slot *s)
{
	if (s->work != WORK_COUNTED)
		return;
	charge_rest(p, s);
	stop_counting(p, s, WORK_ASLEEP);
}

/* ---- turns ---- */

static bool has_room(const struct policy *p, uint32_t nworking)
{
	return p->limits.running == 0 || nworking < p->limits.running;
}

static uint32_t count_young(const struct policy *p)
{
	const struct slot *s;
	uint32_t n = 0;

	for (s = TAILQ_LAST(&p->working, slots); s && p->now - s->since < p->limits.glance;
	     s = TAILQ_PREV(s, slots, link))
		n++;
	return n;
}

/* For a function that has nobody at work. */
static bool has_room_for_first(const struct policy *p, uint32_t starting)
{
	return p->limits.glance > 0 && has_room(p, count_young(p) + starting);
}

bool policy_run_may(const struct policy *p, const struct function *f, uint32_t starting)
{
	return has_room(p, p->nworking + starting) ||
	       (f->nworking == 0 && has_room_for_first(p, starting));
}

void policy_run_leave_alone(struct policy *p)
{
	nsec_t long_since = LEFT_ALONE * p->limits.glance;
	struct slot *s;

	while (long_since > 0 && (s = TAILQ_FIRST(&p->working)) &&
	       p->now - s->since >= long_since) {
		stop_counting(p, s, WORK_LEFT_ALONE);
		policy_sort(p, s->f);
	}
}

struct function *policy_run_next(const struct policy *p)
{
	struct heap_node *first = heap_first(&p->runnable);

	if (!first)
		return NULL;
	if (has_room(p, p->nworking))
		return container_of(first, struct function, runnable);
	first = heap_first(&p->restless);
	if (!first || !has_room_for_first(p, 0))
		return NULL;
	return container_of(first, struct function, restless);
}

/* ---- looks ---- */

/* When it has worked for twice as long, or at the latest when it is to be left alone. */
static void look_later(struct policy *p, struct slot *s)
{
	nsec_t worked = MAX(p->now - s->since, p->limits.glance);

	s->look_at = MIN(p->now + worked, s->since + LEFT_ALONE * p->limits.glance);
}

bool policy_run_look(struct policy *p, struct policy_action *a)
{
	nsec_t next = 0;
	struct slot *s;

	if (p->limits.glance == 0 || p->nqueued == 0 || has_room(p, p->nworking)) {
		policy_timer_set(p, &p->look, 0);
		return false;
	}
	TAILQ_FOREACH(s, &p->working, link)
	{
		if (s->look_at <= p->now) {
			look_later(p, s);
			*a = (struct policy_action){ .verb = POLICY_LOOK,
						     .function = s->f->number,
						     .slot = s->number };
			return true;
		}
		next = clock_nearest(next, s->look_at);
	}
	policy_timer_set(p, &p->look, next);
	return false;
}
