/* SPDX-License-Identifier: Apache-2.0 */
/* policy_slot.c - the states of a slot, and what is counted with each. */
#include "tools/thawd/policy_state.h"

#include <assert.h>

static nsec_t later(const struct policy *p, nsec_t span)
{
	return span > 0 ? p->now + span : 0;
}

/* Leave the state that @s is in, and what goes with that. */
static void leave(struct policy *p, struct slot *s)
{
	struct function *f = s->f;

	if (s->state == SLOT_IDLE)
		TAILQ_REMOVE(&f->idle, s, link);
	if (s->state == SLOT_BUSY)
		policy_run_end(p, s);
	if (s->has_news)
		TAILQ_REMOVE(&p->news, s, news);
	s->has_news = false;
	policy_timer_set(p, &s->timer, 0);
	f->n[s->state]--;
	p->n[s->state]--;
}

static void enter(struct policy *p, struct slot *s, enum slot_state state)
{
	s->state = state;
	s->since = p->now;
	s->f->n[state]++;
	p->n[state]++;
}

void policy_slot_tell(struct policy *p, struct slot *s)
{
	s->has_news = true;
	TAILQ_INSERT_TAIL(&p->news, s, news);
}

struct slot *policy_slot_start(struct policy *p, struct function *f)
{
	struct slot *s = TAILQ_FIRST(&p->free);

	assert(s);
	TAILQ_REMOVE(&p->free, s, link);
	s->f = f;
	s->memory = f->config.memory;
	s->was_used = false;
	f->held += s->memory;
	policy_room_take(p, s);
	enter(p, s, SLOT_STARTING);
	policy_timer_set(p, &s->timer, later(p, p->limits.patience));
	return s;
}

/*
 * One that was used is the next to be used. One that was not is the last, so that load stays
 * where it is, and counts as idle for as long as the one before it: it was not needed.
 */
void policy_slot_rest(struct policy *p, struct slot *s)
{
	struct function *f = s->f;
	struct slot *lru = function_lru(f);

	if (s->state == SLOT_STARTING)
		s->ready_at = p->now;
	leave(p, s);
	enter(p, s, SLOT_IDLE);
	if (s->was_used) {
		TAILQ_INSERT_HEAD(&f->idle, s, link);
		return;
	}
	if (lru)
		s->since = lru->since;
	TAILQ_INSERT_TAIL(&f->idle, s, link);
}

void policy_slot_give(struct policy *p, struct slot *s)
{
	struct function *f = s->f;
	struct invocation *i = TAILQ_FIRST(&f->queue);
	nsec_t end = later(p, f->config.timeout);

	if (i->deadline > 0)
		end = end > 0 ? MIN(end, i->deadline) : i->deadline;
	leave(p, s);
	enter(p, s, SLOT_BUSY);
	s->was_used = true;
	s->invocation = i->id;
	policy_run_begin(p, s);
	policy_timer_set(p, &s->timer, end);
	policy_queue_drop(p, i);
}

void policy_slot_rewind(struct policy *p, struct slot *s)
{
	leave(p, s);
	enter(p, s, SLOT_REWINDING);
	policy_timer_set(p, &s->timer, later(p, p->limits.patience));
	policy_slot_tell(p, s);
}

void policy_slot_end(struct policy *p, struct slot *s)
{
	s->f->held -= s->memory;
	policy_room_end(p, s);
	leave(p, s);
	enter(p, s, SLOT_ENDING);
}

void policy_slot_doom(struct policy *p, struct slot *s)
{
	policy_slot_end(p, s);
	policy_slot_tell(p, s);
}

void policy_slot_free(struct policy *p, struct slot *s)
{
	policy_room_give(p, s);
	leave(p, s);
	s->f = NULL;
	TAILQ_INSERT_HEAD(&p->free, s, link);
}

bool policy_slot_next(struct policy *p, struct policy_action *a)
{
	struct slot *s = TAILQ_FIRST(&p->news);

	if (!s)
		return false;
	TAILQ_REMOVE(&p->news, s, news);
	s->has_news = false;
	*a = (struct policy_action){
		.verb = s->state == SLOT_ENDING ? POLICY_DESTROY : POLICY_REWIND,
		.function = s->f->number,
		.slot = s->number,
	};
	return true;
}
