/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_queue.c - invocations that wait, and those that are to be refused. As many are
 * allocated as all queues may hold, so an arrival allocates nothing.
 */
#include "tools/thawd/policy_state.h"

#include <assert.h>
#include <errno.h>

struct invocation_chunk {
	struct invocation_chunk *next;
	struct invocation all[];
};

int policy_queue_reserve(struct policy *p, uint32_t n)
{
	uint32_t more = n > p->queue_room ? n - p->queue_room : 0;
	struct invocation_chunk *chunk;

	if (more == 0)
		return 0;
	if (policy_heaps_reserve(p, n) < 0)
		return -ENOMEM;
	chunk = calloc(1, sizeof(*chunk) + more * sizeof(chunk->all[0]));
	if (!chunk)
		return -ENOMEM;
	chunk->next = p->chunks;
	p->chunks = chunk;
	p->queue_room = n;
	for (uint32_t i = 0; i < more; i++) {
		chunk->all[i].timer.kind = TIMER_WAIT;
		TAILQ_INSERT_TAIL(&p->unused, &chunk->all[i], link);
	}
	return 0;
}

void policy_queue_fini(struct policy *p)
{
	while (p->chunks) {
		struct invocation_chunk *chunk = p->chunks;

		p->chunks = chunk->next;
		free(chunk);
	}
}

/* When @i has to leave the queue; 0: never. */
static nsec_t last_moment(const struct policy *p, const struct invocation *i)
{
	nsec_t wait = i->f->config.wait;

	if (wait == 0)
		return i->deadline;
	return i->deadline > 0 ? MIN(i->deadline, p->now + wait) : p->now + wait;
}

struct invocation *policy_queue_add(struct policy *p, struct function *f, uint64_t id,
				    nsec_t deadline)
{
	struct invocation *i = TAILQ_FIRST(&p->unused);

	assert(i);
	TAILQ_REMOVE(&p->unused, i, link);
	i->f = f;
	i->function = f->number;
	i->id = id;
	i->deadline = deadline;
	TAILQ_INSERT_TAIL(&f->queue, i, link);
	f->nqueued++;
	p->nqueued++;
	policy_timer_set(p, &i->timer, last_moment(p, i));
	return i;
}

static void leave(struct policy *p, struct invocation *i)
{
	policy_timer_set(p, &i->timer, 0);
	TAILQ_REMOVE(&i->f->queue, i, link);
	i->f->nqueued--;
	p->nqueued--;
}

void policy_queue_drop(struct policy *p, struct invocation *i)
{
	leave(p, i);
	TAILQ_INSERT_HEAD(&p->unused, i, link);
}

void policy_queue_refuse(struct policy *p, struct invocation *i, enum policy_reason reason)
{
	leave(p, i);
	i->reason = reason;
	TAILQ_INSERT_TAIL(&p->refused, i, link);
}

void policy_queue_refuse_all(struct policy *p, struct function *f, enum policy_reason reason)
{
	while (f->nqueued > 0)
		policy_queue_refuse(p, TAILQ_FIRST(&f->queue), reason);
}

bool policy_queue_next(struct policy *p, struct policy_action *a)
{
	struct invocation *i = TAILQ_FIRST(&p->refused);

	if (!i)
		return false;
	*a = (struct policy_action){ .verb = POLICY_REFUSE,
				     .function = i->function,
				     .has_invocation = true,
				     .invocation = i->id,
				     .reason = i->reason };
	TAILQ_REMOVE(&p->refused, i, link);
	TAILQ_INSERT_HEAD(&p->unused, i, link);
	return true;
}
