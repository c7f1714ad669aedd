/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

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

static struct timespec time_until(nsec_t deadline)
{
	nsec_t now = clock_monotonic();
	nsec_t left = deadline > now ? deadline - now : 0;

	return (struct timespec){ .tv_sec = (time_t)(left / NSEC_PER_SEC),
				  .tv_nsec = (long)(left % NSEC_PER_SEC) };
}

static int call_back(const struct epoll_event *events, int n)
{
	for (int i = 0; i < n; i++) {
		struct loop_watch *w = events[i].data.ptr;
		int ret = w->callback(w, events[i].events);

		if (ret < 0)
			return ret;
	}
	return n;
}

int loop_wait(struct loop *loop, nsec_t deadline)
{
	const struct timespec left = time_until(deadline);
	struct epoll_event events[LOOP_BATCH];
	int n = epoll_pwait2(loop->epoll_fd, events, LOOP_BATCH, deadline ? &left : NULL, NULL);

	return n < 0 ? -errno : call_back(events, n);
}

int loop_wait_guarded(struct loop *loop, const struct loop_guard *guard)
{
	struct epoll_event events[LOOP_BATCH];
	int n = epoll_wait(loop->epoll_fd, events, LOOP_BATCH, -1), ret;

	if (n < 0)
		return -errno;
	guard->enter(loop);
	ret = call_back(events, n);
	guard->leave(loop);
	return ret;
}
