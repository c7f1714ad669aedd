/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/worker.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define LOG "worker"
#include "engine/log.h"
#include "engine/thread.h"

void worker_init(struct worker *w)
{
	*w = (struct worker){ .loop.epoll_fd = -1, .ending.fd = -1 };
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->next, NULL);
	sem_init(&w->has_begun, 0, 0);
}

/* The loop's own callback: loop_wait returns what it says. */
static int on_ending(struct loop_watch *watch, uint32_t events)
{
	(void)watch;
	(void)events;
	return -ECANCELED;
}

static int open_loop(struct worker *w, struct err *err)
{
	int ret = loop_init(&w->loop, err);

	if (ret < 0)
		return ret;
	w->has_loop = true;
	w->ending = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					 .callback = on_ending };
	if (w->ending.fd < 0)
		return err_sys(err, "eventfd to end a device thread");
	return loop_add(&w->loop, &w->ending, EPOLLIN, err);
}

int worker_watch(struct worker *w, struct loop_watch *watch, uint32_t events, struct err *err)
{
	int ret = w->has_loop ? 0 : open_loop(w, err);

	return ret < 0 ? ret : loop_add(&w->loop, watch, events, err);
}

static void enter(struct loop *loop)
{
	worker_lock(container_of(loop, struct worker, loop));
}

static void leave(struct loop *loop)
{
	worker_unlock(container_of(loop, struct worker, loop));
}

static void *worker_main(void *arg)
{
	static const struct loop_guard guard = { enter, leave };
	struct worker *w = arg;
	int ret;

	sem_post(&w->has_begun);
	do
		ret = loop_wait_guarded(&w->loop, &guard);
	while (ret >= 0 || ret == -EINTR);
	if (ret != -ECANCELED)
		log_warn("the device thread ends: %s", strerrordesc_np(-ret));
	worker_lock(w);
	w->ret = ret;
	worker_unlock(w);
	return NULL;
}

int worker_start(struct worker *w, struct err *err)
{
	int ret;

	if (!w->has_loop || w->is_running)
		return 0;
	ret = thread_start(&w->thread, worker_main, w);
	w->is_running = ret == 0;
	while (ret == 0 && sem_wait(&w->has_begun) < 0 && errno == EINTR)
		;
	return ret < 0 ? err_set(err, -ret, "start a device thread") : 0;
}

void worker_stop(struct worker *w)
{
	uint64_t one = 1;

	if (w->is_running && write(w->ending.fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
		pthread_join(w->thread, NULL);
	w->is_running = false;
	if (!w->has_loop)
		return;
	fd_cleanup(&w->ending.fd);
	loop_fini(&w->loop);
	w->has_loop = false;
}

/* A mutex alone lets a thread that gives it back and wants it again pass those who wait: a guest that
 * keeps the device thread busy would keep everybody else from its devices. */
void worker_lock_to_read(struct worker *w)
{
	pthread_mutex_lock(&w->next);
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->next);
}

void worker_lock(struct worker *w)
{
	worker_lock_to_read(w);
	w->turns++;
}

void worker_unlock(struct worker *w)
{
	pthread_mutex_unlock(&w->lock);
}
