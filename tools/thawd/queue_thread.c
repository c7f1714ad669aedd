/* SPDX-License-Identifier: Apache-2.0 */
/* queue_thread.c - the thread that waits for the disk: many requests, one transaction. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tools/thawd/queue_state.h"
#include "tools/thawd/stamp.h"

#define RETRY_MS 1000	 /* after the disk failed; ours */
#define IDLE_MS	 3600000 /* looks again, though nothing is to be expected */

/* ---- one transaction ---- */

/* Returns 1: there is more to do at once. */
static int apply_all(struct queue *q, struct queue_list *batch, bool expire, int64_t now,
		     struct err *err)
{
	struct queue_item *item;
	int ret = 0, more = 0;

	TAILQ_FOREACH(item, batch, link)
	{
		if (ret == 0)
			ret = queue_apply(q, item, now, err);
	}
	if (ret == 0 && expire)
		ret = more = queue_expire(q, now, err);
	if (ret >= 0)
		ret = queue_letters_write(q, err);
	return ret < 0 ? ret : more;
}

static void add_stats(struct queue *q)
{
	struct queue_stats *s = &q->stats;
	const struct queue_stats *c = &q->change;

	pthread_mutex_lock(&q->lock);
	s->events += c->events;
	s->taken += c->taken;
	s->accepted += c->accepted;
	s->done += c->done;
	s->failed += c->failed;
	s->dead += c->dead;
	s->commits += c->commits;
	pthread_mutex_unlock(&q->lock);
}

/* All of it, or nothing. Returns as apply_all. */
static int commit(struct queue *q, struct queue_list *batch, bool expire, int64_t now,
		  struct err *err)
{
	int ret = db_begin(&q->db, err);

	q->change = (struct queue_stats){ 0 };
	if (ret == 0)
		ret = db_commit(&q->db, apply_all(q, batch, expire, now, err), err);
	queue_letters_drop(q);
	if (ret < 0)
		return ret;
	q->out += q->change.taken;
	q->change.commits = !TAILQ_EMPTY(batch) || q->change.dead > 0;
	add_stats(q);
	return ret;
}

/* ---- answers ---- */

/* A put is answered. Of others nobody waits for an answer: they end, or are tried again. */
static void answer(struct queue *q, struct queue_item *item, int ret, const struct err *err)
{
	if (item->verb != QUEUE_PUT) {
		if (ret < 0)
			TAILQ_INSERT_TAIL(&q->kept, item, link);
		else
			queue_item_free(item);
		return;
	}
	item->ret = ret;
	if (ret < 0)
		item->err = *err;
	pthread_mutex_lock(&q->lock);
	TAILQ_INSERT_TAIL(&q->answers, item, link);
	pthread_mutex_unlock(&q->lock);
}

static void end_all(struct queue *q, struct queue_list *batch)
{
	struct queue_item *item;

	while ((item = TAILQ_FIRST(batch))) {
		TAILQ_REMOVE(batch, item, link);
		answer(q, item, 0, NULL);
	}
}

/* What cannot be written keeps nothing else from it. */
static void commit_each(struct queue *q, struct queue_list *batch, int64_t now)
{
	struct queue_list one = TAILQ_HEAD_INITIALIZER(one);
	struct queue_item *item;
	struct err err;
	int ret;

	while ((item = TAILQ_FIRST(batch))) {
		TAILQ_REMOVE(batch, item, link);
		TAILQ_INSERT_TAIL(&one, item, link);
		ret = commit(q, &one, false, now, &err);
		TAILQ_REMOVE(&one, item, link);
		answer(q, item, ret, &err);
	}
}

static void tell(struct queue *q)
{
	uint64_t one = 1;
	bool is_news;

	pthread_mutex_lock(&q->lock);
	is_news = !TAILQ_EMPTY(&q->answers) || !TAILQ_EMPTY(&q->ready);
	pthread_mutex_unlock(&q->lock);
	/* It cannot be full: nobody adds to it but one at a time. */
	if (is_news && write(q->event_fd, &one, sizeof(one)) < 0)
		return;
}

/* ---- the loop ---- */

/* When something becomes due. */
static int64_t wake_time(struct queue *q, int64_t now)
{
	int64_t at = now + IDLE_MS;
	int ret = DB_QUERY(&q->db, QUEUE_WAKE, NULL, DB_INT(now), DB_INT(at));

	if (ret == 1)
		at = db_int(&q->db, QUEUE_WAKE, 0);
	db_end(&q->db, QUEUE_WAKE);
	return ret < 0 ? now + RETRY_MS : at;
}

/* Returns until when to wait. */
static int64_t work(struct queue *q, struct queue_list *batch)
{
	int64_t now = stamp_now_ms(), until;
	bool all = now >= q->retry_at;
	struct err err;
	int ret;

	if (all)
		TAILQ_CONCAT(batch, &q->kept, link);
	ret = commit(q, batch, all, now, &err);
	if (ret < 0) {
		q->retry_at = now + RETRY_MS;
		commit_each(q, batch, now);
	}
	end_all(q, batch);
	if (queue_fill(q, now, &err) < 0)
		q->retry_at = now + RETRY_MS;
	tell(q);
	until = ret == 1 ? now : wake_time(q, now);
	return q->retry_at > now ? MIN(until, q->retry_at) : until;
}

static void wait_until(struct queue *q, int64_t ms)
{
	struct timespec at = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	int ret = 0;

	while (TAILQ_EMPTY(&q->requests) && !q->stop && ret == 0)
		ret = pthread_cond_timedwait(&q->asked, &q->lock, &at);
}

/* Returns whether they are the last. */
static bool take_requests(struct queue *q, struct queue_list *batch, int64_t until)
{
	bool stop;

	pthread_mutex_lock(&q->lock);
	wait_until(q, until);
	stop = q->stop;
	TAILQ_CONCAT(batch, &q->requests, link);
	pthread_mutex_unlock(&q->lock);
	return stop;
}

void *queue_thread(void *arg)
{
	struct queue *q = arg;
	struct queue_list batch = TAILQ_HEAD_INITIALIZER(batch);
	int64_t until = 0;
	bool stop;

	do {
		stop = take_requests(q, &batch, until);
		until = work(q, &batch);
	} while (!stop);
	return NULL;
}

int queue_thread_prepare(struct queue *q, struct err *err)
{
	int ret = db_begin(&q->db, err);

	if (ret == 0)
		ret = db_commit(&q->db, queue_letters_check(q, err), err);
	if (ret == 0)
		ret = DB_QUERY(&q->db, QUEUE_COUNT, err);
	if (ret < 0)
		return ret;
	q->stats.events = (uint64_t)db_int(&q->db, QUEUE_COUNT, 0);
	db_end(&q->db, QUEUE_COUNT);
	return 0;
}
