/* SPDX-License-Identifier: Apache-2.0 */
/* pool_shells.c - the shells of a pool: made, waiting, ended. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "snapshot/pool.h"

#define NO_SLOT UINT32_MAX
/* Ours: shells asked for and not yet there. A user's descriptors that are on the way in packets,
 * three for each, may not be more than he may have open (unix(7), ETOOMANYREFS). */
#define FILL_AHEAD 64u

/* ---- the stack of shells that wait ---- */

void pool_init_waiting(struct thaw_pool *p)
{
	p->waiting = NO_SLOT;
}

static void pool_put(struct thaw_pool *p, uint32_t i)
{
	uint64_t top = __atomic_load_n(&p->waiting, __ATOMIC_RELAXED), new;

	do {
		__atomic_store_n(&p->slots[i].next, (uint32_t)top, __ATOMIC_RELAXED);
		new = ((top >> 32) + 1) << 32 | i;
	} while (!__atomic_compare_exchange_n(&p->waiting, &top, new, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
	__atomic_fetch_add(&p->nwaiting, 1, __ATOMIC_RELAXED);
}

struct thaw_slot *pool_take(struct thaw_pool *p)
{
	uint64_t top = __atomic_load_n(&p->waiting, __ATOMIC_ACQUIRE), new;

	do {
		if ((uint32_t)top == NO_SLOT)
			return NULL;
		new = ((top >> 32) + 1) << 32 |
		      __atomic_load_n(&p->slots[(uint32_t)top].next, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&p->waiting, &top, new, true, __ATOMIC_ACQUIRE,
					      __ATOMIC_ACQUIRE));
	__atomic_fetch_sub(&p->nwaiting, 1, __ATOMIC_RELAXED);
	return &p->slots[(uint32_t)top];
}

/* ---- slots that are closed ---- */

static bool is_held(const struct thaw_slot *s)
{
	return __atomic_load_n(&s->is_held, __ATOMIC_ACQUIRE);
}

void pool_release(struct thaw_slot *s)
{
	struct ending *e = s->ending;

	*e = (struct ending){ .pidfd = remote_end(&s->remote),
			      .bytes = s->memory + SHELL_MEMORY };
	s->ending = NULL;
	s->memory = 0;
	endings_add(&s->pool->zygote->endings, e);
	/* Last: from here on the slot is for who has the pool's lock. */
	__atomic_store_n(&s->is_held, false, __ATOMIC_RELEASE);
}

void pool_release_all(struct thaw_pool *p)
{
	struct endings *l = &p->zygote->endings;
	nsec_t until = endings_patience();

	for (uint32_t i = 0; i < p->nslots; i++) {
		if (is_held(&p->slots[i]))
			pool_release(&p->slots[i]);
	}
	while (endings_count(l) > 0 && endings_collect(l, until))
		;
}

/* ---- filling: under the pool's lock ---- */

/* Mark what is to be filled, and have its memory promised. Returns how many, or -errno. */
static int fill_begin(struct thaw_pool *p, uint32_t waiting, struct err *err)
{
	int most = (int)waiting - __atomic_load_n(&p->nwaiting, __ATOMIC_RELAXED);
	char what[40];
	int ret, n = 0;

	for (uint32_t i = 0; i < p->nslots; i++) {
		p->slots[i].is_filled = n < most && !is_held(&p->slots[i]);
		n += p->slots[i].is_filled;
	}
	snprintf(what, sizeof(what), "%d shells", n);
	endings_collect(&p->zygote->endings, 0);
	ret = endings_promise(&p->zygote->endings, (uint64_t)n * SHELL_MEMORY, what, err);
	return ret < 0 ? ret : n;
}

/* A shell that ends has a descriptor until it is gone: of those of the @n slots that are still to
 * be filled, or of the spare ones. */
static void wait_for_descriptors(struct thaw_pool *p, unsigned int n)
{
	struct endings *l = &p->zygote->endings;
	nsec_t until = endings_patience();

	while (endings_count(l) > n * POOL_SLOT_FDS + POOL_SPARE_FDS &&
	       endings_collect(l, until))
		;
}

/* If slot @i is to be filled, ask for its shell. @left: how many are, with it. */
static int fill_ask(struct thaw_pool *p, uint32_t i, unsigned int *left, struct err *err)
{
	struct thaw_slot *s = &p->slots[i];

	if (!s->is_filled)
		return 0;
	s->ending = malloc(sizeof(*s->ending)); /* so that closing needs no memory */
	if (!s->ending)
		return err_set(err, ENOMEM, "no memory for a shell");
	wait_for_descriptors(p, --*left);
	return remote_make(&s->remote, &p->zygote->zygote, p->own->state_fd, err);
}

static void fill_give_up(struct thaw_slot *s)
{
	if (s->ending)
		pool_release(s);
	else
		account_give(&s->pool->zygote->account, SHELL_MEMORY);
}

/* Wait for the shell that was asked for, if it was. */
static int fill_end(struct thaw_pool *p, uint32_t i, struct err *err)
{
	struct thaw_slot *s = &p->slots[i];
	int ret;

	if (!s->is_filled)
		return 0;
	ret = s->remote.state == REMOTE_MAKING ? remote_await(&s->remote, err) : -ECANCELED;
	if (ret < 0) {
		fill_give_up(s);
		return ret;
	}
	__atomic_store_n(&s->is_held, true, __ATOMIC_RELAXED);
	pool_put(p, i);
	return 0;
}

int pool_fill(struct thaw_pool *p, uint32_t waiting, struct err *err)
{
	unsigned int left;
	int ret;

	if (!zygote_lives(&p->zygote->zygote))
		return err_set(err, EPIPE, "the zygote has died");
	ret = fill_begin(p, waiting, err);
	if (ret < 0)
		return ret;
	/* Some are asked for before the first is waited for: the zygote has no pauses. */
	left = (unsigned int)ret;
	ret = 0;
	for (uint32_t i = 0; i < p->nslots + FILL_AHEAD; i++) {
		if (i < p->nslots && ret == 0)
			ret = fill_ask(p, i, &left, err);
		if (i >= FILL_AHEAD) {
			int end = fill_end(p, i - FILL_AHEAD, ret < 0 ? NULL : err);

			ret = ret < 0 ? ret : end;
		}
	}
	return ret;
}
