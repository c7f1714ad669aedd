/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker.h - the thread on which a VM's devices wait for what comes from outside, and the one
 * lock of their state. A VM whose devices watch nothing has no such thread.
 *
 * Callbacks run with the lock held. So does whatever a vCPU's thread does with the same state:
 * whoever holds the lock has the devices at rest, and that is how they are paused.
 */
#pragma once

#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>

#include "engine/err.h"
#include "engine/loop.h"

struct vm;

struct worker {
	struct loop loop;
	struct loop_watch ending; /* an eventfd: written to, the thread ends */
	pthread_t thread;
	sem_t has_begun; /* the thread has */
	pthread_mutex_t lock;
	pthread_mutex_t next; /* held by who is to have the lock next, until it has */
	uint64_t turns;	      /* times that somebody has had the lock to work; under it */
	bool has_loop, is_running;
	int ret; /* what ended the thread, when it was not asked to; under the lock */
};

void worker_init(struct worker *w);

/*
 * worker_watch - call @watch's callback, on the device thread and with the lock held, when its
 * descriptor has @events (EPOLLIN, EPOLLOUT). For the connect hook of a device; later, with the
 * lock held, and worker_start after it. @watch stays in place until worker_stop. A callback that
 * fails ends the thread: what is left to a host that failed.
 */
int worker_watch(struct worker *w, struct loop_watch *watch, uint32_t events,
		 struct err *err) must_check;

/* Start the thread, if there is something to watch and it does not run yet. When this returns, the
 * thread makes no more system calls than its devices do: a filter may come now. */
int worker_start(struct worker *w, struct err *err) must_check;

/* End it: no callback runs afterwards. Safe at any time after worker_init. */
void worker_stop(struct worker *w);

void worker_lock(struct worker *w);
void worker_unlock(struct worker *w);
/* worker_lock for who only reads: it is no turn. */
void worker_lock_to_read(struct worker *w);
