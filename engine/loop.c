/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>

#include "engine/err.h"

#define LOOP_BATCH 64 /* events taken per wait; ours */

int loop_init(struct loop *loop, struct err *err)
{
	*loop = (struct loop){ .epoll_fd = epoll_create1(EPOLL_CLOEXEC) };
	if (loop->epoll_fd < 0)
		return err_sys(err, "epoll_create1");
	return 0;
}

void loop_fini(struct loop *loop)
{
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	loop->epoll_fd = -1;
}

int loop_add(struct loop *loop, struct loop_watch *w, uint32_t events, struct err *err)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };

	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, w->fd, &ev) < 0)
		return err_sys(err, "watch descriptor %d", w->fd);
	loop->nwatches++;
	return 0;
}

void loop_remove(struct loop *loop, struct loop_watch *w)
{
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL) == 0)
		loop->nwatches--;
}

/* Milliseconds until @deadline, rounded up, as epoll_wait wants them. */
static int timeout_ms(nsec_t deadline)
{
	nsec_t now = clock_monotonic();
	nsec_t ms;

	if (deadline == 0)
		return -1;
	if (deadline <= now)
		return 0;
	ms = (deadline - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC;
	return (int)MIN(ms, (nsec_t)INT_MAX);
}

int loop_wait(struct loop *loop, nsec_t deadline)
{
	struct epoll_event events[LOOP_BATCH];
	int n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, timeout_ms(deadline));
	int ret;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		struct loop_watch *w = events[i].data.ptr;

		ret = w->callback(w, events[i].events);
		if (ret < 0)
			return ret;
	}
	return n;
}
