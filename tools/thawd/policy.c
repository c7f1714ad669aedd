/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/policy_state.h"

#include <assert.h>
#include <errno.h>

#include "engine/err.h"

#define MAX_SLOTS     65536u
#define MAX_FUNCTIONS 65536u
#define MAX_MEMORY    (UINT64_C(1) << 46)
#define RETRY_MIN     (100 * NSEC_PER_MSEC)
#define RETRY_MAX     (10 * NSEC_PER_SEC)

/* ---- making one ---- */

static int check_limits(const struct policy_limits *l, struct err *err)
{
	if (l->slots == 0 || l->slots > MAX_SLOTS)
		return err_set(err, EINVAL, "%u slots, expected 1 to %u", l->slots, MAX_SLOTS);
	if (l->functions == 0 || l->functions > MAX_FUNCTIONS)
		return err_set(err, EINVAL, "%u functions, expected 1 to %u", l->functions,
			       MAX_FUNCTIONS);
	if (l->memory == 0 || l->memory > MAX_MEMORY)
		return err_set(err, EINVAL, "a budget of %llu bytes, expected 1 to %llu",
			       (unsigned long long)l->memory, (unsigned long long)MAX_MEMORY);
	return 0;
}

static void init(struct policy *p, const struct policy_limits *limits)
{
	p->limits = *limits;
	p->total.limit = (struct room){ .bytes = limits->memory, .slots = limits->slots };
	p->shared.limit = p->total.limit;
	TAILQ_INIT(&p->free);
	TAILQ_INIT(&p->news);
	TAILQ_INIT(&p->working);
	p->look.kind = TIMER_LOOK;
	TAILQ_INIT(&p->unused);
	TAILQ_INIT(&p->refused);
	policy_heaps_init(p);
}

static int allocate(struct policy *p)
{
	p->functions = calloc(p->limits.functions, sizeof(struct function *));
	p->slots = calloc(p->limits.slots, sizeof(*p->slots));
	p->numbers = calloc(p->limits.functions, sizeof(*p->numbers));
	p->groups = calloc(p->limits.functions, sizeof(*p->groups));
	if (!p->functions || !p->slots || !p->numbers || !p->groups)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->limits.functions; i++)
		TAILQ_INIT(&p->groups[i].members);
	for (uint32_t i = p->limits.functions; i > 0; i--)
		p->numbers[p->nnumbers++] = i - 1;
	for (uint32_t i = 0; i < p->limits.slots; i++) {
		p->slots[i].number = i;
		p->slots[i].timer.kind = TIMER_SLOT;
		TAILQ_INSERT_TAIL(&p->free, &p->slots[i], link);
	}
	return policy_heaps_reserve(p, 0);
}

int policy_create(struct policy **policy, const struct policy_limits *limits, struct err *err)
{
	struct policy *p;
	int ret = check_limits(limits, err);

	*policy = NULL;
	if (ret < 0)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p)
		return err_set(err, ENOMEM, "no memory for a policy");
	init(p, limits);
	ret = allocate(p);
	if (ret < 0) {
		policy_destroy(p);
		return err_set(err, ENOMEM, "no memory for %u slots and %u functions",
			       limits->slots, limits->functions);
	}
	*policy = p;
	return 0;
}

void policy_destroy(struct policy *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; p->functions && i < p->limits.functions; i++)
		free(p->functions[i]);
	policy_queue_fini(p);
	policy_heaps_fini(p);
	free(p->functions);
	free(p->groups);
	free(p->numbers);
	free(p->slots);
	free(p);
}

/* ---- events ---- */

void policy_tick(struct policy *p, nsec_t now)
{
	p->now = MAX(p->now, now);
}

/* Not the one that has just arrived if it need not wait. */
static bool is_queue_full(const struct policy *p, const struct function *f)
{
	return f->nqueued > f->config.max_queued &&
	       (f->n[SLOT_IDLE] == 0 || !policy_run_may(p, f, 0));
}

void policy_arrive(struct policy *p, uint32_t function, uint64_t invocation, nsec_t deadline)
{
	struct function *f = p->functions[function];
	struct invocation *i;

	assert(f && !f->is_removed);
	i = policy_queue_add(p, f, invocation, deadline);
	if (is_queue_full(p, f))
		policy_queue_refuse(p, i, POLICY_THROTTLED);
	else if (p->pressure == POLICY_CRITICAL && function_live(f) == 0)
		policy_queue_refuse(p, i, POLICY_NO_MEMORY);
	policy_sort(p, f);
}

/* @s is free just now: is it one too many? */
static bool is_unwanted(const struct policy *p, const struct slot *s)
{
	const struct function *f = s->f;

	return function_live(f) > function_cap(f) || s->memory != f->config.memory ||
	       (f->config.mode == POLICY_FRESH && s->was_used) ||
	       (policy_room_is_over(p, f) && function_live(f) > f->config.provisioned) ||
	       policy_room_yields(p, s);
}

/* A slot that has nothing more to do. */
static void settle(struct policy *p, struct slot *s)
{
	if (is_unwanted(p, s))
		policy_slot_doom(p, s);
	else if (s->state == SLOT_BUSY && s->f->config.mode == POLICY_PRISTINE)
		policy_slot_rewind(p, s);
	else
		policy_slot_rest(p, s);
	policy_sort(p, s->f);
}

void policy_ready(struct policy *p, uint32_t slot)
{
	if (p->slots[slot].f && p->slots[slot].state == SLOT_STARTING)
		settle(p, &p->slots[slot]);
}

bool policy_replied(struct policy *p, uint32_t slot)
{
	struct slot *s = &p->slots[slot];

	if (!s->f || s->state != SLOT_BUSY)
		return false;
	s->f->failures = 0;
	settle(p, s);
	return true;
}

void policy_asleep(struct policy *p, uint32_t slot)
{
	struct slot *s = &p->slots[slot];

	if (!s->f || s->state != SLOT_BUSY)
		return;
	policy_run_sleep(p, s);
	policy_sort(p, s->f);
}

void policy_rewound(struct policy *p, uint32_t slot)
{
	if (p->slots[slot].f && p->slots[slot].state == SLOT_REWINDING)
		settle(p, &p->slots[slot]);
}

/*
 * A slot is gone that never had an invocation. After some of these the next start waits, each
 * time longer; and if that was in vain, too, nobody is kept waiting for it.
 */
static void start_failed(struct policy *p, struct function *f)
{
	uint32_t waits;

	if (f->is_removed)
		return;
	if (!function_retries_later(f) && ++f->failures >= FAILURES_AT_ONCE) {
		waits = MIN(f->failures - FAILURES_AT_ONCE, 16u);
		policy_timer_set(p, &f->retry, p->now + MIN(RETRY_MIN << waits, RETRY_MAX));
	}
}

bool policy_lose(struct policy *p, struct slot *s)
{
	bool was_busy = s->state == SLOT_BUSY;

	policy_slot_end(p, s);
	if (!s->was_used)
		start_failed(p, s->f);
	return was_busy;
}

bool policy_poisoned(struct policy *p, uint32_t slot)
{
	struct slot *s = &p->slots[slot];
	bool was_busy;

	if (!s->f || s->state == SLOT_ENDING)
		return false;
	was_busy = policy_lose(p, s);
	policy_slot_tell(p, s);
	policy_sort(p, s->f);
	return was_busy;
}

bool policy_gone(struct policy *p, uint32_t slot)
{
	struct slot *s = &p->slots[slot];
	struct function *f = s->f;
	bool was_busy;

	if (!f)
		return false;
	was_busy = s->state != SLOT_ENDING && policy_lose(p, s);
	policy_slot_free(p, s);
	if (f->is_removed && f->own.used.slots == 0)
		policy_forget(p, f);
	else
		policy_sort(p, f);
	return was_busy;
}

void policy_pressure(struct policy *p, enum policy_pressure pressure)
{
	p->pressure = pressure;
	if (pressure == POLICY_CALM)
		p->last_evictions = 0;
	else if (pressure == POLICY_TIGHT)
		p->last_evictions = MIN(MAX(1u, 2 * p->last_evictions), p->limits.slots);
	else
		p->last_evictions = p->limits.slots;
	p->evictions = p->last_evictions;
}

/* ---- counts ---- */

static struct policy_counts counts(const uint32_t n[SLOT_STATES], uint32_t nqueued,
				   uint64_t memory)
{
	return (struct policy_counts){ .queued = nqueued,
				       .starting = n[SLOT_STARTING],
				       .idle = n[SLOT_IDLE],
				       .busy = n[SLOT_BUSY],
				       .rewinding = n[SLOT_REWINDING],
				       .ending = n[SLOT_ENDING],
				       .memory = memory };
}

struct policy_counts policy_count(const struct policy *p, uint32_t function)
{
	const struct function *f = p->functions[function];

	return counts(f->n, f->nqueued, f->own.used.bytes);
}

struct policy_counts policy_count_all(const struct policy *p)
{
	return counts(p->n, p->nqueued, p->total.used.bytes);
}
