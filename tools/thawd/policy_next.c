/* SPDX-License-Identifier: Apache-2.0 */
/* policy_next.c - what is to be done, decided one by one and only when asked. */
#include "tools/thawd/policy_state.h"

#include <assert.h>

static bool expire_slot(struct policy *p, struct slot *s, struct policy_action *a)
{
	*a = (struct policy_action){ .verb = POLICY_KILL,
				     .function = s->f->number,
				     .slot = s->number,
				     .invocation = s->invocation };
	a->has_invocation = policy_lose(p, s);
	policy_sort(p, s->f);
	return true;
}

/* What @t was set for. Returns whether it is an action. */
static bool expire(struct policy *p, struct timer *t, struct policy_action *a)
{
	struct function *f;
	struct invocation *i;

	switch (t->kind) {
	case TIMER_SLOT:
		return expire_slot(p, container_of(t, struct slot, timer), a);
	case TIMER_WAIT:
		i = container_of(t, struct invocation, timer);
		f = i->f;
		policy_queue_refuse(p, i, POLICY_TIMED_OUT);
		break;
	case TIMER_IDLE:
		f = container_of(t, struct function, idle_timer);
		policy_slot_doom(p, function_lru(f));
		break;
	case TIMER_RETRY:
		f = container_of(t, struct function, retry);
		break;
	case TIMER_REWINDS:
		f = container_of(t, struct function, rewinds);
		f->rewinds_are_late = true;
		break;
	case TIMER_LOOK: /* policy_run_look does it */
		return false;
	default:
		assert(false);
		return false;
	}
	policy_sort(p, f);
	return false;
}

static bool next_expired(struct policy *p, struct policy_action *a)
{
	struct heap_node *first;

	while ((first = heap_first(&p->timers))) {
		struct timer *t = container_of(first, struct timer, node);

		if (t->at > p->now)
			break;
		heap_drop(&p->timers, first);
		if (expire(p, t, a))
			return true;
	}
	return false;
}

static bool next_given(struct policy *p, struct policy_action *a)
{
	struct function *f = policy_run_next(p);
	struct slot *s;

	if (!f)
		return false;
	s = TAILQ_FIRST(&f->idle);
	policy_slot_give(p, s);
	policy_sort(p, f);
	*a = (struct policy_action){ .verb = POLICY_GIVE,
				     .function = f->number,
				     .slot = s->number,
				     .has_invocation = true,
				     .invocation = s->invocation };
	return true;
}

/* Of the functions of both sides that have one, who has the slot that was idle for longest? */
static struct function *oldest_of_all(struct policy *p)
{
	struct heap_node *a = heap_first(&p->sides[SIDE_SHARED].oldest);
	struct heap_node *b = heap_first(&p->sides[SIDE_RESERVED].oldest);

	if (a && b)
		a = p->sides[SIDE_SHARED].oldest.before(b, a) ? b : a;
	else
		a = a ? a : b;
	return a ? container_of(a, struct function, oldest) : NULL;
}

static void evict(struct policy *p, struct function *f)
{
	policy_slot_doom(p, function_lru(f));
	policy_sort(p, f);
}

/* Idle slots that must go for no other function's sake. */
static void evict_some(struct policy *p)
{
	struct heap_node *first;
	struct function *f;

	while ((first = heap_first(&p->sides[SIDE_SHARED].oldest)) &&
	       policy_room_is_over(p, container_of(first, struct function, oldest)))
		evict(p, container_of(first, struct function, oldest));
	for (; p->evictions > 0 && (f = oldest_of_all(p)); p->evictions--)
		evict(p, f);
	p->evictions = 0;
}

static bool start(struct policy *p, struct function *f, struct policy_action *a)
{
	struct slot *s = policy_slot_start(p, f);

	f->turn_no = p->turns++;
	policy_sort(p, f);
	*a = (struct policy_action){ .verb = POLICY_START,
				     .function = f->number,
				     .slot = s->number };
	return true;
}

/* Of @side, who is to get the next slot. Since one was sorted, others may have been promised
 * so much that it cannot have any more. */
static struct function *needy_first(struct policy *p, struct side *side)
{
	struct heap_node *first;

	while ((first = heap_first(&side->needy))) {
		struct function *f = container_of(first, struct function, needy);

		if (policy_function_needs(p, f))
			return f;
		policy_sort(p, f);
	}
	return NULL;
}

/* Start a slot of @f, or have one destroyed that is in its way. */
static bool serve(struct policy *p, struct function *f, struct policy_action *a)
{
	struct slot *victim;

	if (!policy_may_start(p, f))
		return false;
	if (policy_room_fits(p, f)) {
		if (f->nqueued > function_coming(f)) /* it is growing if it was busy, too */
			f->spare = MIN(p->limits.ahead, f->n[SLOT_BUSY]);
		return start(p, f, a);
	}
	victim = policy_room_victim(p, f);
	if (!victim)
		return false;
	evict(p, victim->f);
	return policy_slot_next(p, a);
}

static bool next_needed(struct policy *p, struct policy_action *a)
{
	struct function *f = needy_first(p, &p->sides[SIDE_SHARED]);
	struct function *g = needy_first(p, &p->sides[SIDE_RESERVED]);

	if (f && g && p->sides[SIDE_SHARED].needy.before(&g->needy, &f->needy)) {
		struct function *first = g;

		g = f;
		f = first;
	}
	return (f && serve(p, f, a)) || (g && serve(p, g, a));
}

static bool next_ahead(struct policy *p, struct side *side, struct policy_action *a)
{
	struct heap_node *needy = heap_first(&side->needy);
	struct function *f;

	/* Room that is waited for is not free. */
	if (needy && !policy_room_fits(p, container_of(needy, struct function, needy)))
		return false;
	while ((f = TAILQ_FIRST(&side->ahead))) {
		if (policy_room_fits(p, f)) {
			f->spare -= f->spare > 0;
			return start(p, f, a);
		}
		if (f->spare == 0)
			return false;
		f->spare = 0;
		policy_sort(p, f);
	}
	return false;
}

static bool next_started(struct policy *p, struct policy_action *a)
{
	if (next_needed(p, a))
		return true;
	if (p->pressure != POLICY_CALM ||
	    (p->limits.starting > 0 && p->n[SLOT_STARTING] >= p->limits.starting))
		return false;
	return next_ahead(p, &p->sides[SIDE_SHARED], a) ||
	       next_ahead(p, &p->sides[SIDE_RESERVED], a);
}

bool policy_next(struct policy *p, struct policy_action *a)
{
	policy_run_leave_alone(p);
	/* What is over first, then what can go on, and only then what will help others. */
	if (next_expired(p, a) || policy_queue_next(p, a) || next_given(p, a))
		return true;
	evict_some(p);
	return policy_slot_next(p, a) || next_started(p, a) || policy_queue_next(p, a) ||
	       policy_run_look(p, a);
}

nsec_t policy_wake(const struct policy *p)
{
	struct heap_node *timer = heap_first(&p->timers);
	struct heap_node *needy = heap_first(&p->sides[SIDE_SHARED].needy);
	struct heap_node *oldest = heap_first(&p->sides[SIDE_SHARED].oldest);
	nsec_t at = timer ? container_of(timer, struct timer, node)->at : 0;
	nsec_t taken;

	if (!needy || !oldest)
		return at;
	taken = function_lru(container_of(oldest, struct function, oldest))->since +
		p->limits.linger;
	if (taken <= p->now)
		return at;
	return at > 0 ? MIN(at, taken) : taken;
}
