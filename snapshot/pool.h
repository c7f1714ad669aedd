/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - what is behind the zygotes, pools and slots of thaw.h, for the files that implement
 * them: pool_shells.c makes shells and keeps them, thaw_slot.c takes and uses them.
 *
 * A start takes no lock: shells that wait are a stack of slot numbers with a counter beside the
 * top, so that a number that came back in the meantime is not taken for the same state. The
 * pool's lock is held by who fills it, the zygote's by who opens, admits and closes.
 */
#pragma once

#include <pthread.h>

#include "devices/mailbox.h"
#include "snapshot/account.h"
#include "snapshot/ending.h"
#include "snapshot/handles.h"
#include "snapshot/remote.h"
#include "snapshot/zygote.h"

/* Ours: what a shell costs before it has a machine: its process and page tables, KVM's own
 * memory, its mailbox. Measured: 0.6 MiB. */
#define SHELL_MEMORY (1u << 20)

struct thaw_zygote {
	struct zygote zygote;
	struct account account;
	struct endings endings; /* shells of slots that were closed */
	pthread_mutex_t lock;
	struct thaw_pool *pools; /* under the lock */
};

/* A template that a pool's slots may start; in a list that only grows. */
struct admitted {
	struct thaw_template *asked; /* what the pool's user calls it by */
	struct thaw_template
		*template; /* the same, or one of it that has memory to be mapped */
	int state_fd;	   /* handover.h */
	struct admitted *next;
};

#define POOL_SLOT_FDS  2u  /* of a slot that has a shell: socket, pidfd */
#define POOL_SPARE_FDS 16u /* ours: for shells that end, so that few of them hold up no fill */

struct thaw_slot {
	struct remote remote;
	struct thaw_pool *pool;
	const struct admitted *admitted; /* what its machine was started from */
	struct ending *ending;		 /* for the shell when it is killed */
	bool is_held;	/* has a shell, which waits or is in use. Atomic; who has the slot makes
			  * it false, who has the pool's lock makes it true */
	bool is_filled; /* by the filling under way; under the pool's lock */
	uint64_t memory; /* bytes that the account counts for its machine */
	uint32_t next;	 /* in the stack; atomic */
	char crash[MAILBOX_CRASH_TEXT];
};

struct thaw_pool {
	struct thaw_zygote *zygote;
	struct thaw_pool *next;
	struct admitted *admitted;  /* atomic */
	const struct admitted *own; /* what shells are made for */
	uint64_t slot_memory;
	pthread_mutex_t lock; /* of those who fill */
	uint64_t waiting;     /* stack: counter << 32 | number of the top; atomic */
	int nwaiting;	      /* atomic; about right while starts are under way */
	uint32_t nslots;
	struct thaw_slot slots[];
};

void pool_init_waiting(struct thaw_pool *p);

/* A slot whose shell waits, or NULL. It is the caller's then. */
struct thaw_slot *pool_take(struct thaw_pool *p);

/* The entry of @t, or NULL. */
const struct admitted *pool_find(const struct thaw_pool *p, const struct thaw_template *t);

/* End what is in a slot that the caller has. Does not wait. */
void pool_release(struct thaw_slot *s);
/* All at once, and wait until they are gone. What does not end stays counted. */
void pool_release_all(struct thaw_pool *p);

/* Make shells for slots that have none, until @waiting wait. Under the pool's lock. Errors: as
 * thaw_pool_fill. */
int pool_fill(struct thaw_pool *p, uint32_t waiting, struct err *err) must_check;
