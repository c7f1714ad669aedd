/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/jobs.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/err.h"
#include "engine/loop.h"
#include "engine/thread.h"

struct list {
	struct job *first, **end;
};

struct jobs {
	struct loop *loop;
	struct loop_watch watch; /* its descriptor: an eventfd */
	pthread_t thread;
	bool has_thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t more;
	struct list todo, done;
	bool stops;
};

static void list_add(struct list *l, struct job *job)
{
	job->next = NULL;
	*l->end = job;
	l->end = &job->next;
}

static struct job *list_take(struct list *l)
{
	struct job *job = l->first;

	if (!job)
		return NULL;
	l->first = job->next;
	if (!l->first)
		l->end = &l->first;
	return job;
}

/* Called and returns under the lock. */
static void work(struct jobs *j, struct job *job)
{
	const uint64_t one = 1;

	pthread_mutex_unlock(&j->lock);
	job->work(job);
	pthread_mutex_lock(&j->lock);
	list_add(&j->done, job);
	while (write(j->watch.fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void *run(void *arg)
{
	struct jobs *j = arg;
	struct job *job;

	pthread_mutex_lock(&j->lock);
	while ((job = list_take(&j->todo)) || !j->stops) {
		if (job)
			work(j, job);
		else
			pthread_cond_wait(&j->more, &j->lock);
	}
	pthread_mutex_unlock(&j->lock);
	return NULL;
}

static void tell_done(struct jobs *j)
{
	struct job *job;

	do {
		pthread_mutex_lock(&j->lock);
		job = list_take(&j->done);
		pthread_mutex_unlock(&j->lock);
		if (job && job->done)
			job->done(job);
	} while (job);
}

static int on_done(struct loop_watch *w, uint32_t events)
{
	uint64_t n;

	(void)events;
	if (read(w->fd, &n, sizeof(n)) < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	tell_done(container_of(w, struct jobs, watch));
	return 0;
}

void jobs_add(struct jobs *j, struct job *job)
{
	pthread_mutex_lock(&j->lock);
	list_add(&j->todo, job);
	pthread_cond_signal(&j->more);
	pthread_mutex_unlock(&j->lock);
}

static int jobs_start(struct jobs *j, struct err *err)
{
	int ret = loop_add(j->loop, &j->watch, EPOLLIN, err);

	if (ret < 0)
		return ret;
	ret = thread_start(&j->thread, run, j);
	if (ret < 0)
		return err_set(err, -ret, "start a thread: %s", strerrordesc_np(-ret));
	j->has_thread = true;
	return 0;
}

int jobs_open(struct jobs **out, struct loop *loop, struct err *err)
{
	struct jobs *j = calloc(1, sizeof(*j));
	int ret;

	*out = NULL;
	if (!j)
		return err_set(err, ENOMEM, "no memory for a thread");
	j->loop = loop;
	j->todo.end = &j->todo.first;
	j->done.end = &j->done.first;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->more, NULL);
	j->watch = (struct loop_watch){ .fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
					.callback = on_done };
	ret = j->watch.fd < 0 ? err_sys(err, "eventfd") : jobs_start(j, err);
	if (ret < 0)
		jobs_close(j);
	else
		*out = j;
	return ret;
}

/* Whoever hears of one that is done may have another one to be done. */
static void finish_rest(struct jobs *j)
{
	struct job *job;

	tell_done(j);
	while ((job = list_take(&j->todo))) {
		job->work(job);
		list_add(&j->done, job);
		tell_done(j);
	}
}

void jobs_close(struct jobs *j)
{
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->stops = true;
	pthread_cond_signal(&j->more);
	pthread_mutex_unlock(&j->lock);
	if (j->has_thread)
		pthread_join(j->thread, NULL);
	finish_rest(j);
	if (j->watch.fd >= 0) {
		loop_remove(j->loop, &j->watch);
		close(j->watch.fd);
	}
	pthread_cond_destroy(&j->more);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
