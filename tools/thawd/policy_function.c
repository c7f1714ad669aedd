/* SPDX-License-Identifier: Apache-2.0 */
/* policy_function.c - functions come, change and go; and where each stands among the others. */
#include "tools/thawd/policy_state.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/err.h"

#define MAX_QUEUED 1000000u /* ours */
/* Of virtual time; ours: more than short invocations take, less than anybody waits for. */
#define MAX_DEBT (50 * NSEC_PER_MSEC)

/* ---- orders ---- */

static bool timer_before(struct heap_node *a, struct heap_node *b)
{
	return container_of(a, struct timer, node)->at <
	       container_of(b, struct timer, node)->at;
}

static bool tag_before(const struct function *f, const struct function *g)
{
	return (int64_t)(f->tag - g->tag) < 0;
}

static bool runnable_before(struct heap_node *a, struct heap_node *b)
{
	return tag_before(container_of(a, struct function, runnable),
			  container_of(b, struct function, runnable));
}

static bool restless_before(struct heap_node *a, struct heap_node *b)
{
	return tag_before(container_of(a, struct function, restless),
			  container_of(b, struct function, restless));
}

static bool oldest_before(struct heap_node *a, struct heap_node *b)
{
	return function_lru(container_of(a, struct function, oldest))->since <
	       function_lru(container_of(b, struct function, oldest))->since;
}

static bool richest_before(struct heap_node *a, struct heap_node *b)
{
	const struct function *f = container_of(a, struct function, richest);
	const struct function *g = container_of(b, struct function, richest);
	uint64_t share_f = policy_room_share(f), share_g = policy_room_share(g);

	if (share_f != share_g)
		return share_f > share_g;
	return function_lru(f)->since < function_lru(g)->since;
}

static bool needy_before(struct heap_node *a, struct heap_node *b)
{
	const struct function *f = container_of(a, struct function, needy);
	const struct function *g = container_of(b, struct function, needy);
	uint64_t share_f = policy_room_share(f), share_g = policy_room_share(g);

	if (function_lacks_provisioned(f) != function_lacks_provisioned(g))
		return function_lacks_provisioned(f);
	return share_f != share_g ? share_f < share_g : f->turn_no < g->turn_no;
}

void policy_heaps_init(struct policy *p)
{
	p->timers.before = timer_before;
	p->runnable.before = runnable_before;
	p->restless.before = restless_before;
	p->richest.before = richest_before;
	for (uint32_t i = 0; i < SIDES; i++) {
		p->sides[i].needy.before = needy_before;
		p->sides[i].oldest.before = oldest_before;
		TAILQ_INIT(&p->sides[i].ahead);
	}
}

int policy_heaps_reserve(struct policy *p, uint32_t queued)
{
	uint32_t n = p->limits.functions;
	int ret = heap_reserve(&p->timers, queued + p->limits.slots + 3 * n + 1);

	ret = ret < 0 ? ret : heap_reserve(&p->runnable, n);
	ret = ret < 0 ? ret : heap_reserve(&p->restless, n);
	ret = ret < 0 ? ret : heap_reserve(&p->richest, n);
	for (uint32_t i = 0; i < SIDES && ret == 0; i++) {
		ret = heap_reserve(&p->sides[i].needy, n);
		ret = ret < 0 ? ret : heap_reserve(&p->sides[i].oldest, n);
	}
	return ret;
}

void policy_heaps_fini(struct policy *p)
{
	heap_fini(&p->timers);
	heap_fini(&p->runnable);
	heap_fini(&p->restless);
	heap_fini(&p->richest);
	for (uint32_t i = 0; i < SIDES; i++) {
		heap_fini(&p->sides[i].needy);
		heap_fini(&p->sides[i].oldest);
	}
}

/* ---- where a function stands ---- */

void policy_timer_set(struct policy *p, struct timer *t, nsec_t at)
{
	t->at = at;
	if (at > 0)
		heap_put(&p->timers, &t->node);
	else
		heap_drop(&p->timers, &t->node);
}

static void heap_set(struct heap *h, struct heap_node *node, bool is_in)
{
	if (is_in)
		heap_put(h, node);
	else
		heap_drop(h, node);
}

static bool may_grow(const struct policy *p, const struct function *f)
{
	return !f->is_removed && !function_retries_later(f) && policy_room_may_grow(p, f);
}

bool policy_function_wants(const struct function *f)
{
	if (f->is_removed || function_retries_later(f))
		return false;
	return function_lacks_provisioned(f) ||
	       (f->nqueued > function_coming(f) && function_live(f) < function_cap(f));
}

bool policy_function_needs(const struct policy *p, const struct function *f)
{
	return policy_function_wants(f) &&
	       (policy_room_may_grow(p, f) || policy_room_may_take(f));
}

static bool wants_ahead(const struct policy *p, const struct function *f)
{
	uint32_t live = function_live(f);

	if (live >= function_cap(f) || !may_grow(p, f))
		return false;
	return live < f->config.min ||
	       (f->spare > 0 && function_coming(f) < f->nqueued + p->limits.ahead);
}

static void sort_first(struct policy *p, struct function *f, bool is_first)
{
	p->nfirst += is_first;
	p->nfirst -= f->is_first;
	f->is_first = is_first;
}

static void sort_ahead(struct policy *p, struct function *f, bool is_in)
{
	struct functions *ahead = &p->sides[f->config.is_reserved].ahead;

	if (is_in && !f->is_ahead)
		TAILQ_INSERT_TAIL(ahead, f, ahead);
	else if (!is_in && f->is_ahead)
		TAILQ_REMOVE(ahead, f, ahead);
	f->is_ahead = is_in;
}

static void sort_idle(struct policy *p, struct function *f)
{
	struct side *side = &p->sides[f->config.is_reserved];
	uint32_t live = function_live(f);
	uint32_t kept = MAX(f->config.min, f->config.provisioned);
	/* Those that invocations wait for, because no more may run now, are not to be had. */
	bool has_spare = f->n[SLOT_IDLE] > f->nqueued;
	bool is_takable = has_spare && live > f->config.provisioned;
	bool expires = has_spare && live > kept && f->config.idle_timeout > 0;

	heap_set(&side->oldest, &f->oldest, is_takable);
	heap_set(&p->richest, &f->richest, is_takable && !f->config.is_reserved);
	policy_timer_set(p, &f->idle_timer,
			 expires ? function_lru(f)->since + f->config.idle_timeout : 0);
}

/* All that it may have is provisioned for others. */
static bool has_no_part(const struct function *f)
{
	const struct group *g = f->group;

	return function_cap(f) == 0 ||
	       (g && policy_group_provisioned(g, f) >= g->part.limit.slots);
}

/* Nobody waits for a slot that will not come. */
static void refuse_the_hopeless(struct policy *p, struct function *f)
{
	if (f->nqueued == 0 || function_live(f) > 0)
		return;
	if (has_no_part(f))
		policy_queue_refuse_all(p, f, POLICY_THROTTLED);
	else if (!policy_room_ever_fits(p, f))
		policy_queue_refuse_all(p, f, POLICY_NO_MEMORY);
	else if (function_gave_up(f))
		policy_queue_refuse_all(p, f, POLICY_DOES_NOT_START);
}

/* For a glance, slots that will be back in a moment are waited for rather than one touched that was
 * never used. */
static bool waits_for_rewinds(struct policy *p, struct function *f)
{
	bool has_time = p->limits.glance > 0 && f->nqueued <= f->config.max_queued;

	if (!has_time || f->rewinds_are_late || f->n[SLOT_REWINDING] < f->nqueued ||
	    TAILQ_FIRST(&f->idle)->was_used)
		return false;
	if (f->rewinds.node.at == 0)
		policy_timer_set(p, &f->rewinds, p->now + p->limits.glance);
	return true;
}

/* Is there an invocation, and an idle slot for it? */
static bool sort_runnable(struct policy *p, struct function *f)
{
	bool has_both = f->nqueued > 0 && f->n[SLOT_IDLE] > 0;
	bool waits = has_both && waits_for_rewinds(p, f);

	if (!waits)
		policy_timer_set(p, &f->rewinds, 0);
	f->rewinds_are_late &= has_both;
	return has_both && !waits;
}

/* What it did not use is not saved up, and what it used while nobody else wanted it is not held
 * against it for long. */
static void limit_tag(const struct policy *p, struct function *f)
{
	int64_t ahead = (int64_t)(f->tag - p->virtual_time);

	if (ahead < 0)
		f->tag = p->virtual_time;
	else if (ahead > (int64_t)MAX_DEBT)
		f->tag = p->virtual_time + MAX_DEBT;
}

static void sort_one(struct policy *p, struct function *f)
{
	struct side *side = &p->sides[f->config.is_reserved];
	bool is_runnable, needs;

	refuse_the_hopeless(p, f);
	is_runnable = sort_runnable(p, f);
	needs = policy_function_needs(p, f);

	if (is_runnable && f->runnable.at == 0)
		limit_tag(p, f);
	heap_set(&p->runnable, &f->runnable, is_runnable);
	heap_set(&p->restless, &f->restless, is_runnable && f->nworking == 0);
	if (needs && f->needy.at == 0)
		f->turn_no = p->turns++;
	heap_set(&side->needy, &f->needy, needs);
	sort_first(p, f, needs && function_live(f) == 0 && !f->config.is_reserved);
	sort_ahead(p, f, wants_ahead(p, f));
	sort_idle(p, f);
}

/* What one of them has, another may have. @but was sorted; NULL: nobody was. */
static void sort_group(struct policy *p, struct group *g, const struct function *but)
{
	struct function *f;

	TAILQ_FOREACH(f, &g->members, sibling)
	{
		if (f != but)
			sort_one(p, f);
	}
}

void policy_sort(struct policy *p, struct function *f)
{
	sort_one(p, f);
	if (f->group)
		sort_group(p, f->group, f);
}

static void unsort(struct policy *p, struct function *f)
{
	struct side *side = &p->sides[f->config.is_reserved];

	heap_drop(&p->runnable, &f->runnable);
	heap_drop(&p->restless, &f->restless);
	heap_drop(&side->needy, &f->needy);
	heap_drop(&side->oldest, &f->oldest);
	heap_drop(&p->richest, &f->richest);
	sort_first(p, f, false);
	sort_ahead(p, f, false);
	policy_timer_set(p, &f->idle_timer, 0);
	policy_timer_set(p, &f->rewinds, 0);
}

/* ---- configuration ---- */

static int check(const struct policy *p, const struct function *f,
		 const struct policy_function *c, struct err *err)
{
	uint32_t provisioned;

	if (c->memory == 0 || c->memory > p->limits.memory)
		return err_set(
			err, EINVAL, "memory of a slot is %llu bytes, expected 1 to %llu",
			(unsigned long long)c->memory, (unsigned long long)p->limits.memory);
	if (c->weight == 0 || c->weight > POLICY_MAX_WEIGHT)
		return err_set(err, EINVAL, "weight is %u, expected 1 to %u", c->weight,
			       POLICY_MAX_WEIGHT);
	if (c->max_queued == 0 || c->max_queued > MAX_QUEUED)
		return err_set(err, EINVAL, "queue is %u long, expected 1 to %u", c->max_queued,
			       MAX_QUEUED);
	if (MAX(c->provisioned, c->is_reserved ? c->reserved : 0) > p->limits.slots)
		return err_set(err, ENOMEM, "%u slots are all there are", p->limits.slots);
	if (c->max > 0 && MAX(c->min, c->provisioned) > c->max)
		return err_set(err, EINVAL, "%u slots are to be kept of %u at most",
			       MAX(c->min, c->provisioned), c->max);
	provisioned =
		c->provisioned + policy_group_provisioned(policy_group_find(p, c->group), f);
	if (c->is_reserved && provisioned > c->reserved)
		return err_set(err, EINVAL, "%u slots are provisioned, but %u reserved",
			       provisioned, c->reserved);
	return policy_room_admit(p, f, c, err);
}

/* Slots that may not stay by the new configuration. */
static void doom_idle(struct policy *p, struct function *f, bool is_dirty)
{
	struct slot *s, *next;

	for (s = TAILQ_FIRST(&f->idle); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if ((is_dirty && s->was_used) || s->memory != f->config.memory)
			policy_slot_doom(p, s);
	}
	while (f->n[SLOT_IDLE] > 0 && function_live(f) > function_cap(f))
		policy_slot_doom(p, function_lru(f));
	while (f->group && f->n[SLOT_IDLE] > 0 && policy_room_is_over(p, f))
		policy_slot_doom(p, function_lru(f));
}

static void configure(struct policy *p, struct function *f, const struct policy_function *c)
{
	/* A slot that only reuse may give again. */
	bool is_dirty = (f->config.mode == POLICY_REUSE && c->mode != POLICY_REUSE) ||
			c->mode == POLICY_FRESH;
	struct group *before = f->group;

	unsort(p, f);
	policy_room_uncount(p, f);
	p->queue_promised += c->max_queued - f->config.max_queued;
	f->config = *c;
	policy_room_count(p, f);
	while (f->nqueued > c->max_queued)
		policy_queue_refuse(p, TAILQ_LAST(&f->queue, invocations), POLICY_THROTTLED);
	doom_idle(p, f, is_dirty);
	policy_sort(p, f);
	if (before && before != f->group)
		sort_group(p, before, NULL);
}

int policy_change(struct policy *p, uint32_t function, const struct policy_function *config,
		  struct err *err)
{
	struct function *f = p->functions[function];
	int ret = check(p, f, config, err);

	if (ret < 0)
		return ret;
	if (policy_queue_reserve(p, p->queue_promised + config->max_queued -
					    f->config.max_queued) < 0)
		return err_set(err, ENOMEM, "no memory for a queue of %u", config->max_queued);
	configure(p, f, config);
	return 0;
}

static struct function *function_make(struct policy *p, uint32_t number)
{
	struct function *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->number = number;
	f->idle_timer.kind = TIMER_IDLE;
	f->retry.kind = TIMER_RETRY;
	f->rewinds.kind = TIMER_REWINDS;
	f->config.weight = 1;
	f->tag = p->virtual_time;
	TAILQ_INIT(&f->idle);
	TAILQ_INIT(&f->queue);
	return f;
}

int policy_add(struct policy *p, const struct policy_function *config, struct err *err)
{
	uint32_t number;
	struct function *f;
	int ret = check(p, NULL, config, err);

	if (ret < 0)
		return ret;
	if (p->nnumbers == 0)
		return err_set(err, ENOSPC, "%u functions are all there may be",
			       p->limits.functions);
	number = p->numbers[p->nnumbers - 1];
	/* One more: what arrives is in the queue before it is refused. */
	ret = policy_queue_reserve(p, p->queue_promised + config->max_queued + 1);
	f = ret == 0 ? function_make(p, number) : NULL;
	if (!f)
		return err_set(err, ENOMEM, "no memory for a function");
	p->nnumbers--;
	p->queue_promised++;
	p->functions[number] = f;
	configure(p, f, config);
	return (int)number;
}

void policy_forget(struct policy *p, struct function *f)
{
	struct group *g = f->group;

	unsort(p, f);
	policy_room_uncount(p, f);
	if (g)
		sort_group(p, g, NULL);
	policy_timer_set(p, &f->retry, 0);
	p->queue_promised -= f->config.max_queued + 1;
	p->functions[f->number] = NULL;
	p->numbers[p->nnumbers++] = f->number;
	free(f);
}

void policy_remove(struct policy *p, uint32_t function)
{
	struct function *f = p->functions[function];
	struct policy_function c = f->config;

	c.min = c.provisioned = 0; /* what is reserved has its slots as long as there are any */
	policy_queue_refuse_all(p, f, POLICY_REMOVED);
	policy_timer_set(p, &f->retry, 0);
	f->is_removed = true;
	configure(p, f, &c);
	if (f->own.used.slots == 0)
		policy_forget(p, f);
}
