/* SPDX-License-Identifier: Apache-2.0 */
/* thaw_pool.c - the public face of pools: opened, filled, closed, and what they may start. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "engine/fds.h"
#include "snapshot/handover.h"
#include "snapshot/pool.h"
#include "snapshot/sharing.h"

#define MAX_SLOTS 65536u /* ours */

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
		ret = endings_promise(&p->zygote->endings, template_memory(t), t->template.name,
				      err);
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

/* The table of descriptors grows now, if it has to. */
static int check_fds(unsigned int slots, struct err *err)
{
	/* and some for everything else */
	uint64_t need = POOL_SLOT_FDS * (uint64_t)slots + POOL_SPARE_FDS + 32;
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

int thaw_pool_fill(struct thaw_pool *pool, struct thaw_err *err)
{
	return thaw_pool_fill_to(pool, pool->nslots, err);
}

int thaw_pool_fill_to(struct thaw_pool *pool, unsigned int waiting, struct thaw_err *err)
{
	int ret;

	pthread_mutex_lock(&pool->lock);
	ret = pool_fill(pool, waiting, handle_err(err));
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

static struct thaw_pool *pool_make(struct thaw_zygote *z, const struct thaw_template *t,
				   unsigned int slots, uint64_t slot_memory)
{
	struct thaw_pool *p = calloc(1, sizeof(*p) + slots * sizeof(p->slots[0]));

	if (!p)
		return NULL;
	p->zygote = z;
	p->nslots = slots;
	pool_init_waiting(p);
	p->slot_memory = slot_memory ? slot_memory : thaw_image_memory(t->image);
	pthread_mutex_init(&p->lock, NULL);
	for (uint32_t i = 0; i < slots; i++) {
		p->slots[i].pool = p;
		p->slots[i].remote = remote_empty();
	}
	pthread_mutex_lock(&z->lock);
	p->next = z->pools;
	z->pools = p;
	pthread_mutex_unlock(&z->lock);
	return p;
}

int thaw_pool_open_empty(struct thaw_pool **pool, struct thaw_zygote *zygote,
			 const struct thaw_template *t, unsigned int slots,
			 uint64_t slot_memory, struct thaw_err *err)
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
	if (ret < 0) {
		thaw_pool_close(p);
		return ret;
	}
	*pool = p;
	return 0;
}

int thaw_pool_open(struct thaw_pool **pool, struct thaw_zygote *zygote,
		   const struct thaw_template *t, unsigned int slots, uint64_t slot_memory,
		   struct thaw_err *err)
{
	int ret = thaw_pool_open_empty(pool, zygote, t, slots, slot_memory, err);

	if (!*pool)
		return ret;
	ret = thaw_pool_fill(*pool, err);
	if (ret >= 0)
		return 0;
	thaw_pool_close(*pool);
	*pool = NULL;
	return ret;
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

void thaw_pool_close(struct thaw_pool *pool)
{
	struct thaw_pool **at;

	if (!pool)
		return;
	pool_release_all(pool);
	pthread_mutex_lock(&pool->zygote->lock);
	dismiss_all(pool);
	for (at = &pool->zygote->pools; *at != pool; at = &(*at)->next)
		;
	*at = pool->next;
	pthread_mutex_unlock(&pool->zygote->lock);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
