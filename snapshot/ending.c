/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/ending.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/fds.h"
#include "snapshot/account.h"

/* Ours: far more than it takes. */
#define PATIENCE (5 * NSEC_PER_SEC)
#define AT_ONCE	 64u /* ours: looked at by one call */

void endings_init(struct endings *l, struct account *account)
{
	*l = (struct endings){ .account = account };
	pthread_mutex_init(&l->lock, NULL);
}

nsec_t endings_patience(void)
{
	return clock_monotonic() + PATIENCE;
}

void endings_add(struct endings *l, struct ending *e)
{
	__atomic_fetch_add(&l->n, 1, __ATOMIC_RELAXED);
	e->next = __atomic_load_n(&l->added, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&l->added, &e->next, e, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED))
		;
}

unsigned int endings_count(const struct endings *l)
{
	return __atomic_load_n(&l->n, __ATOMIC_RELAXED);
}

/* Under the lock, as all that follows. */
static void take_added(struct endings *l)
{
	struct ending *e = __atomic_exchange_n(&l->added, NULL, __ATOMIC_ACQUIRE);

	while (e) {
		struct ending *next = e->next;

		e->next = l->first;
		l->first = e;
		e = next;
	}
}

static void forget(struct endings *l, struct ending *e)
{
	if (e->pidfd >= 0)
		close(e->pidfd);
	free(e);
	__atomic_fetch_sub(&l->n, 1, __ATOMIC_RELAXED);
}

/* Of the next AT_ONCE of the list, those that are gone before @until, or have been. Returns
 * where the next ones are. */
static struct ending **collect_some(struct endings *l, struct ending **at, nsec_t until,
				    bool *any)
{
	struct pollfd p[AT_ONCE];
	unsigned int n = 0;

	for (struct ending *e = *at; e && n < AT_ONCE; e = e->next) {
		p[n++] = (struct pollfd){ .fd = e->pidfd, .events = POLLIN };
		until = e->pidfd < 0 ? 0 : until;
	}
	fds_poll(p, n, until);
	for (unsigned int i = 0; i < n; i++) {
		struct ending *e = *at;

		if (p[i].fd >= 0 && p[i].revents == 0) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		account_give(l->account, e->bytes);
		forget(l, e);
		*any = true;
	}
	return at;
}

bool endings_collect(struct endings *l, nsec_t until)
{
	bool any = false;

	pthread_mutex_lock(&l->lock);
	take_added(l);
	for (struct ending **at = &l->first; *at;)
		at = collect_some(l, at, 0, &any);
	if (!any && l->first)
		collect_some(l, &l->first, until, &any);
	pthread_mutex_unlock(&l->lock);
	return any;
}

int endings_promise(struct endings *l, uint64_t bytes, const char *what, struct err *err)
{
	nsec_t until = 0;

	while (account_take(l->account, bytes, what, NULL) < 0) {
		until = until ? until : endings_patience();
		if (!endings_collect(l, until))
			return account_take(l->account, bytes, what, err);
	}
	return 0;
}

void endings_fini(struct endings *l)
{
	take_added(l);
	while (l->first) {
		struct ending *e = l->first;

		l->first = e->next;
		forget(l, e);
	}
	pthread_mutex_destroy(&l->lock);
}
