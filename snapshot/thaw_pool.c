/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "engine/fds.h"
#include "snapshot/handover.h"
#include "snapshot/sharing.h"

#define SLOT_FDS  2u	 /* socket, pidfd */
#define MAX_SLOTS 65536u /* ours */
#define NO_SLOT	  UINT32_MAX
/* Ours: shells asked for and not yet there. A user's descriptors that are on the way in packets,
 * three for each, may not be more than he may have open (unix(7), ETOOMANYREFS). */
#define FILL_AHEAD 64u
/* Ours: the kernel takes milliseconds to end a process with a virtual machine. */
#define ENDING_PATIENCE (5 * NSEC_PER_SEC)

/* ---- the stack of shells that wait ---- */

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

/* ---- slots that were closed, and what is promised ---- */

static enum slot_state slot_state(const struct thaw_slot *s)
{
	return __atomic_load_n(&s->state, __ATOMIC_ACQUIRE);
}

void pool_release(struct thaw_slot *s)
{
	remote_end(&s->remote);
	/* Last: from here on the slot is for who has the pool's lock. */
	__atomic_store_n(&s->state, SLOT_ENDING, __ATOMIC_RELEASE);
}

/* Is the shell of a closed slot gone before @until? Its memory is given back then. */
static bool slot_collect(struct thaw_slot *s, nsec_t until)
{
	if (!remote_is_gone(&s->remote, until))
		return false;
	account_give(&s->pool->zygote->account, s->memory + SHELL_MEMORY);
	s->memory = 0;
	__atomic_store_n(&s->state, SLOT_EMPTY, __ATOMIC_RELAXED);
	return true;
}

/* Under the pool's lock. */
static void pool_collect(struct thaw_pool *p)
{
	nsec_t until = clock_monotonic() + ENDING_PATIENCE;

	for (uint32_t i = 0; i < p->nslots; i++) {
		if (slot_state(&p->slots[i]) == SLOT_ENDING)
			slot_collect(&p->slots[i], until);
	}
}

/* Under the zygote's lock. Who fills a pool has collected there what there was. */
static int promise(struct thaw_zygote *z, uint64_t bytes, const char *what, struct err *err)
{
	if (account_take(&z->account, bytes, what, NULL) == 0)
		return 0;
	for (struct thaw_pool *p = z->pools; p; p = p->next) {
		if (pthread_mutex_trylock(&p->lock) != 0)
			continue;
		pool_collect(p);
		pthread_mutex_unlock(&p->lock);
	}
	return account_take(&z->account, bytes, what, err);
}

int pool_promise(struct thaw_zygote *z, uint64_t bytes, const char *what, struct err *err)
{
	int ret = account_take(&z->account, bytes, what, NULL);

	if (ret == 0)
		return 0;
	pthread_mutex_lock(&z->lock);
	ret = promise(z, bytes, what, err);
	pthread_mutex_unlock(&z->lock);
	return ret;
}

/* ---- zygote ---- */

int thaw_zygote_open(struct thaw_zygote **zygote, uint64_t memory, struct thaw_err *err)
{
	struct thaw_zygote *z = handle_make(sizeof(*z), err);
	int ret;

	*zygote = NULL;
	if (!z)
		return -ENOMEM;
	pthread_mutex_init(&z->lock, NULL);
	ret = account_init(&z->account, memory, handle_err(err));
	if (ret == 0)
		ret = zygote_open(&z->zygote, handle_err(err));
	if (ret < 0) {
		free(z);
		return ret;
	}
	*zygote = z;
	return 0;
}

void thaw_zygote_close(struct thaw_zygote *zygote)
{
	if (!zygote)
		return;
	zygote_close(&zygote->zygote);
	pthread_mutex_destroy(&zygote->lock);
	free(zygote);
}

int thaw_zygote_pid(const struct thaw_zygote *zygote)
{
	return zygote->zygote.pid;
}

/* ---- templates of a pool ---- */

const struct admitted *pool_find(const struct thaw_pool *p, const struct thaw_template *t)
{
	const struct admitted *a = __atomic_load_n(&p->admitted, __ATOMIC_ACQUIRE);

	while (a && a->asked != t)
		a = a->next;
	return a;
}

/* Does a pool of @z have its memory? Under the lock. That is counted once. */
static bool is_counted(const struct thaw_zygote *z, const struct thaw_template *t)
{
	for (const struct thaw_pool *p = z->pools; p; p = p->next) {
		for (const struct admitted *a = p->admitted; a; a = a->next) {
			if (sharing_is_one(a->template, t))
				return true;
		}
	}
	return false;
}

static uint64_t template_memory(const struct thaw_template *t)
{
	return image_stored_pages(t->template.image) * MEM_PAGE_SIZE;
}

/*
 * A template whose memory can be mapped: @t, or one more of its image. That one is decoded now, if
 * nobody on this host has it yet: slots have one memory, whatever tier clones of @t are of.
 */
static int mapped_template(struct thaw_template **mapped, const struct thaw_template *t,
			   struct thaw_err *err)
{
	if (t->tier->needs_raw)
		return err_set(handle_err(err), EINVAL,
			       "tier is '%s': slots start templates of any other tier",
			       t->tier->name);
	if (!t->tier->needs_fill)
		return thaw_template_open(mapped, t->host, t->image, tier_map.name, 1, err);
	*mapped = handle_hold(t);
	return 0;
}

static int check_admissible(const struct thaw_pool *p, const struct thaw_template *t,
			    struct err *err)
{
	if (p->own && !handover_same_shape(&p->own->template->template, &t->template))
		return err_set(err, EINVAL, "%s has another shape than the pool",
			       t->template.name);
	return image_check_files(&t->image->image, err);
}

/* @t: mapped_template() of @asked. */
static int admit(struct thaw_pool *p, const struct thaw_template *asked,
		 const struct thaw_template *t, struct err *err)
{
	auto_close int state_fd = -1;
	struct admitted *a;
	int ret = check_admissible(p, t, err);

	if (ret < 0)
		return ret;
	state_fd = handover_memfd(&t->template, err);
	if (state_fd < 0)
		return state_fd;
	a = calloc(1, sizeof(*a));
	if (!a)
		return err_set(err, ENOMEM, "no memory for a pool's template");
	if (!is_counted(p->zygote, t))
		ret = promise(p->zygote, template_memory(t), t->template.name, err);
	if (ret < 0) {
		free(a);
		return ret;
	}
	a->state_fd = fd_take(&state_fd);
	a->asked = handle_hold(asked);
	a->template = handle_hold(t);
	a->next = p->admitted;
	p->own = p->own ? p->own : a;
	__atomic_store_n(&p->admitted, a, __ATOMIC_RELEASE);
	return 0;
}

int thaw_pool_admit(struct thaw_pool *pool, const struct thaw_template *t, struct thaw_err *err)
{
	struct thaw_template *mapped = NULL;
	int ret;

	if (pool_find(pool, t))
		return 0;
	ret = mapped_template(&mapped, t, err); /* may take long, so before the lock */
	if (!mapped)
		return ret;
	pthread_mutex_lock(&pool->zygote->lock);
	if (!pool_find(pool, t))
		ret = admit(pool, t, mapped, handle_err(err));
	pthread_mutex_unlock(&pool->zygote->lock);
	thaw_template_close(mapped);
	return ret;
}

/* ---- what is checked first ---- */

/* The table of descriptors grows now, if it has to. */
static int check_fds(unsigned int slots, struct err *err)
{
	uint64_t need = SLOT_FDS * (uint64_t)slots + 32; /* and some for everything else */
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return err_sys(err, "RLIMIT_NOFILE");
	if (need > limit.rlim_cur)
		return err_set(err, EMFILE,
			       "%u slots need %llu descriptors, %llu are allowed (ulimit -n)",
			       slots, (unsigned long long)need,
			       (unsigned long long)limit.rlim_cur);
	fds_reserve(need);
	return 0;
}

/* ---- shells ---- */

/* Mark what is empty, and have its memory promised. Returns how many, or -errno. */
static int fill_begin(struct thaw_pool *p, struct err *err)
{
	char what[40];
	int ret, n = 0;

	pool_collect(p);
	for (uint32_t i = 0; i < p->nslots; i++) {
		p->slots[i].is_filled = slot_state(&p->slots[i]) == SLOT_EMPTY;
		n += p->slots[i].is_filled;
	}
	snprintf(what, sizeof(what), "%d shells", n);
	ret = pool_promise(p->zygote, (uint64_t)n * SHELL_MEMORY, what, err);
	return ret < 0 ? ret : n;
}

/* If slot @i is to be filled, ask for its shell. */
static int fill_ask(struct thaw_pool *p, uint32_t i, struct err *err)
{
	if (!p->slots[i].is_filled)
		return 0;
	return remote_make(&p->slots[i].remote, &p->zygote->zygote, p->own->state_fd, err);
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
		pool_release(s);
		slot_collect(s, 0);
		return ret;
	}
	__atomic_store_n(&s->state, SLOT_HELD, __ATOMIC_RELAXED);
	pool_put(p, i);
	return 0;
}

static int fill(struct thaw_pool *p, struct err *err)
{
	int ret;

	if (!zygote_lives(&p->zygote->zygote))
		return err_set(err, EPIPE, "the zygote has died");
	ret = fill_begin(p, err);
	if (ret < 0)
		return ret;
	/* Some are asked for before the first is waited for: the zygote has no pauses. */
	ret = 0;
	for (uint32_t i = 0; i < p->nslots + FILL_AHEAD; i++) {
		if (i < p->nslots && ret == 0)
			ret = fill_ask(p, i, err);
		if (i >= FILL_AHEAD) {
			int end = fill_end(p, i - FILL_AHEAD, ret < 0 ? NULL : err);

			ret = ret < 0 ? ret : end;
		}
	}
	return ret;
}

int thaw_pool_fill(struct thaw_pool *pool, struct thaw_err *err)
{
	int ret;

	pthread_mutex_lock(&pool->lock);
	ret = fill(pool, handle_err(err));
	pthread_mutex_unlock(&pool->lock);
	return ret < 0 ? ret : __atomic_load_n(&pool->nwaiting, __ATOMIC_RELAXED);
}

/* ---- pools ---- */

static int check_slots(unsigned int slots, struct err *err)
{
	if (slots == 0 || slots > MAX_SLOTS)
		return err_set(err, EINVAL, "a pool of %u slots, expected 1 to %u", slots,
			       MAX_SLOTS);
	return check_fds(slots, err);
}

/* All that a guest can write to. */
static uint64_t machine_memory(const struct thaw_template *t)
{
	return mem_size(&t->template.shape.mem) + ABI_WINDOW_SIZE;
}

static struct thaw_pool *pool_make(struct thaw_zygote *z, const struct thaw_template *t,
				   unsigned int slots, uint64_t slot_memory)
{
	struct thaw_pool *p = calloc(1, sizeof(*p) + slots * sizeof(p->slots[0]));

	if (!p)
		return NULL;
	p->zygote = z;
	p->nslots = slots;
	p->waiting = NO_SLOT;
	p->slot_memory = slot_memory ? slot_memory : machine_memory(t);
	pthread_mutex_init(&p->lock, NULL);
	for (uint32_t i = 0; i < slots; i++) {
		p->slots[i].pool = p;
		p->slots[i].remote = (struct remote){ .socket = -1, .pidfd = -1 };
	}
	pthread_mutex_lock(&z->lock);
	p->next = z->pools;
	z->pools = p;
	pthread_mutex_unlock(&z->lock);
	return p;
}

int thaw_pool_open(struct thaw_pool **pool, struct thaw_zygote *zygote,
		   const struct thaw_template *t, unsigned int slots, uint64_t slot_memory,
		   struct thaw_err *err)
{
	int ret = check_slots(slots, handle_err(err));
	struct thaw_pool *p;

	*pool = NULL;
	if (ret < 0)
		return ret;
	p = pool_make(zygote, t, slots, slot_memory);
	if (!p)
		return err_set(handle_err(err), ENOMEM, "no memory for %u slots", slots);
	ret = thaw_pool_admit(p, t, err);
	if (ret == 0)
		ret = thaw_pool_fill(p, err);
	if (ret < 0) {
		thaw_pool_close(p);
		return ret;
	}
	*pool = p;
	return 0;
}

/* Under the zygote's lock, while @p is one of its pools: two of @p may have one memory. */
static void dismiss_all(struct thaw_pool *p)
{
	while (p->admitted) {
		struct admitted *a = p->admitted;

		p->admitted = a->next;
		if (!is_counted(p->zygote, a->template))
			account_give(&p->zygote->account, template_memory(a->template));
		close(a->state_fd);
		thaw_template_close(a->template);
		thaw_template_close(a->asked);
		free(a);
	}
}

/* All at once, then one after the other. What does not end stays counted. */
static void end_all(struct thaw_pool *p)
{
	for (uint32_t i = 0; i < p->nslots; i++) {
		if (slot_state(&p->slots[i]) == SLOT_HELD)
			pool_release(&p->slots[i]);
	}
	pool_collect(p);
	for (uint32_t i = 0; i < p->nslots; i++)
		remote_close(&p->slots[i].remote);
}

void thaw_pool_close(struct thaw_pool *pool)
{
	struct thaw_pool **at;

	if (!pool)
		return;
	pthread_mutex_lock(&pool->zygote->lock);
	end_all(pool);
	dismiss_all(pool);
	for (at = &pool->zygote->pools; *at != pool; at = &(*at)->next)
		;
	*at = pool->next;
	pthread_mutex_unlock(&pool->zygote->lock);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
