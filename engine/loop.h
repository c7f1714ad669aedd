/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one thread waits for many descriptors (epoll) and one nearest time.
 *
 * A watch is embedded in whatever it belongs to; the loop keeps only pointers. A callback may
 * add watches and remove its own, but not another's: that one may be next in the same batch.
 */
#pragma once

#include <stdint.h>

#include "engine/clock.h"
#include "engine/util.h"

struct err;
struct loop_watch;

/* @events: EPOLLIN and so on. A negative result ends loop_run, which returns it. */
typedef int loop_callback(struct loop_watch *w, uint32_t events);

struct loop_watch {
	int fd;
	loop_callback *callback;
};

struct loop {
	int epoll_fd;
	uint32_t nwatches;
};

int loop_init(struct loop *loop, struct err *err) must_check;
void loop_fini(struct loop *loop);

/* @w: stays in place until loop_remove. @events: EPOLLIN, EPOLLOUT. */
int loop_add(struct loop *loop, struct loop_watch *w, uint32_t events,
	     struct err *err) must_check;
void loop_remove(struct loop *loop, struct loop_watch *w);

/*
 * loop_wait - wait once, until @deadline (clock_monotonic(), 0: for ever), and call back.
 * Returns the number of callbacks made, 0: the deadline passed, -EINTR: a signal, or what a
 * callback said.
 */
int loop_wait(struct loop *loop, nsec_t deadline);

/* Called before and after the callbacks of one wait. */
struct loop_guard {
	void (*enter)(struct loop *loop), (*leave)(struct loop *loop);
};

/* The same without a deadline, and with @guard around the callbacks. */
int loop_wait_guarded(struct loop *loop, const struct loop_guard *guard);
