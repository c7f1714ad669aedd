/* SPDX-License-Identifier: Apache-2.0 */
/* queue_event.c - what becomes of one event. */
#include <errno.h>

#include "tools/thawd/queue_state.h"

#define EXPIRE_BATCH 32 /* dead letters by one transaction: bounds its memory; ours */

static int put(struct queue *q, struct queue_item *item, int64_t now, struct err *err)
{
	const struct queue_event *e = &item->event;
	int ret = DB_RUN(&q->db, QUEUE_INSERT, err, DB_TEXT(e->function), DB_TEXT(e->qualifier),
			 DB_TEXT(e->request_id), DB_TEXT(e->trace), DB_TEXT(e->client_context),
			 DB_BLOB(e->payload, e->len), DB_INT(now), DB_INT(now),
			 DB_INT(now + e->max_age_ms), DB_INT(e->retries));

	if (ret < 0)
		return ret;
	q->change.accepted++;
	q->change.events++;
	return 0;
}

static int remove_event(struct queue *q, int64_t id, struct err *err)
{
	int ret = DB_RUN(&q->db, QUEUE_DELETE, err, DB_INT(id));

	if (ret < 0)
		return ret;
	q->change.events -= (uint64_t)ret;
	return 0;
}

/* When it is too old; 0: its function is gone. Returns 1, or 0 there is no such event any more. */
static int get_expires(struct queue *q, int64_t id, int64_t *expires, struct err *err)
{
	int ret = DB_QUERY(&q->db, QUEUE_GET_EXPIRES, err, DB_INT(id));

	if (ret == 1)
		*expires = db_int(&q->db, QUEUE_GET_EXPIRES, 0);
	db_end(&q->db, QUEUE_GET_EXPIRES);
	return ret;
}

/*
 * @tries: that failed. The first letter of a transaction is the
 * time to see whether one that was not committed has written it already.
 */
static int die(struct queue *q, const struct queue_item *item, uint32_t tries, struct err *err)
{
	enum queue_condition condition = QUEUE_TOO_OLD;
	int64_t expires = 0;
	int ret = q->letters ? 0 : queue_letters_check(q, err);

	if (ret == 0)
		ret = get_expires(q, item->event.id, &expires, err);
	if (ret <= 0)
		return ret;
	if (expires == 0)
		condition = QUEUE_FORGOTTEN;
	else if (tries > item->event.retries)
		condition = QUEUE_EXHAUSTED;
	ret = queue_letter_add(q, item, condition, tries, err);
	if (ret < 0)
		return ret;
	q->change.dead++;
	return remove_event(q, item->event.id, err);
}

static int fail(struct queue *q, struct queue_item *item, int64_t now, struct err *err)
{
	uint32_t attempts = item->event.attempts;
	int64_t due = now + q->config.retry_ms[MIN(attempts, QUEUE_MAX_RETRIES - 1)];
	int64_t expires = 0;
	int ret = get_expires(q, item->event.id, &expires, err);

	if (ret <= 0)
		return ret;
	q->change.failed++;
	if (attempts < item->event.retries && due < expires)
		ret = DB_RUN(&q->db, QUEUE_SET_RETRY, err, DB_INT(item->event.id), DB_INT(due));
	else
		ret = die(q, item, attempts + 1, err);
	return MIN(ret, 0);
}

static int defer(struct queue *q, const struct queue_item *item, int64_t now, struct err *err)
{
	int ret = DB_RUN(&q->db, QUEUE_SET_DUE, err, DB_INT(item->event.id),
			 DB_INT(now + item->delay_ms));

	return MIN(ret, 0);
}

static int forget(struct queue *q, const struct queue_item *item, struct err *err)
{
	int ret = DB_RUN(&q->db, QUEUE_EXPIRE, err, DB_TEXT(item->event.function));

	return MIN(ret, 0);
}

static int done(struct queue *q, const struct queue_item *item, struct err *err)
{
	q->change.done++;
	return remove_event(q, item->event.id, err);
}

static int give_back(struct queue *q, struct queue_item *item, int64_t now, struct err *err)
{
	int ret = DB_RUN(&q->db, QUEUE_UNTAKE, err, DB_INT(item->event.id));

	if (ret < 0)
		return ret;
	q->change.taken--;
	if (item->verb == QUEUE_DONE)
		return done(q, item, err);
	return item->verb == QUEUE_FAIL ? fail(q, item, now, err) : defer(q, item, now, err);
}

int queue_apply(struct queue *q, struct queue_item *item, int64_t now, struct err *err)
{
	if (item->verb == QUEUE_PUT)
		return put(q, item, now, err);
	return item->verb == QUEUE_FORGET ? forget(q, item, err) : give_back(q, item, now, err);
}

int queue_expire(struct queue *q, int64_t now, struct err *err)
{
	struct queue_item *item;
	int ret = 1;

	for (unsigned int i = 0; i < EXPIRE_BATCH && ret == 1; i++) {
		ret = DB_QUERY(&q->db, QUEUE_EXPIRED, err, DB_INT(now));
		if (ret <= 0)
			return ret;
		item = queue_item_load(&q->db, QUEUE_EXPIRED);
		db_end(&q->db, QUEUE_EXPIRED);
		if (!item)
			return err_set(err, ENOMEM, "queue: out of memory");
		ret = die(q, item, item->event.attempts, err);
		queue_item_free(item);
		ret = ret < 0 ? ret : 1;
	}
	return ret;
}
