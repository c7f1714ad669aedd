/* SPDX-License-Identifier: Apache-2.0 */
/* queue_next.c - which events are given out, in turn by function. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/queue_state.h"

struct queue_item *queue_item_copy(const struct queue_event *event)
{
	const char *const from[] = { event->function, event->qualifier, event->request_id,
				     event->trace, event->client_context };
	const char **to[ARRAY_SIZE(from)];
	struct queue_item *item;
	size_t room = event->len;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(from); i++)
		room += strlen(from[i]) + 1;
	item = calloc(1, sizeof(*item) + room);
	if (!item)
		return NULL;
	item->event = *event;
	to[0] = &item->event.function;
	to[1] = &item->event.qualifier;
	to[2] = &item->event.request_id;
	to[3] = &item->event.trace;
	to[4] = &item->event.client_context;
	at = item->bytes;
	for (size_t i = 0; i < ARRAY_SIZE(from); i++) {
		*to[i] = at;
		at = stpcpy(at, from[i]) + 1;
	}
	if (event->len > 0)
		memcpy(at, event->payload, event->len);
	item->event.payload = at;
	return item;
}

struct queue_item *queue_item_load(const struct db *db, enum queue_statement id)
{
	struct queue_event e = { .id = db_int(db, id, 0),
				 .function = db_text(db, id, 1),
				 .qualifier = db_text(db, id, 2),
				 .request_id = db_text(db, id, 3),
				 .trace = db_text(db, id, 4),
				 .client_context = db_text(db, id, 5),
				 .accepted_ms = db_int(db, id, 7),
				 .retries = (uint32_t)db_int(db, id, 9),
				 .attempts = (uint32_t)db_int(db, id, 10) };

	e.payload = db_blob(db, id, 6, &e.len);
	e.max_age_ms = (uint32_t)(db_int(db, id, 8) - e.accepted_ms);
	return queue_item_copy(&e);
}

/* To q->last_function. Returns 1, or 0 after the last one, and begins again. */
static int turn(struct queue *q, struct err *err)
{
	const char *last = q->last_function ? q->last_function : "";
	int ret = DB_QUERY(&q->db, QUEUE_NEXT_FUNCTION, err, DB_TEXT(last));
	char *next = NULL;

	if (ret < 0)
		return ret;
	if (!db_is_null(&q->db, QUEUE_NEXT_FUNCTION, 0)) {
		next = strdup(db_text(&q->db, QUEUE_NEXT_FUNCTION, 0));
		ret = next ? 1 : err_set(err, ENOMEM, "queue: out of memory");
	} else {
		ret = 0;
	}
	db_end(&q->db, QUEUE_NEXT_FUNCTION);
	free(q->last_function);
	q->last_function = next;
	return ret;
}

static int may_take(struct queue *q, const char *function, struct err *err)
{
	int ret = DB_QUERY(&q->db, QUEUE_TAKEN_EACH, err, DB_TEXT(function));
	bool may;

	if (ret < 0)
		return ret;
	may = db_int(&q->db, QUEUE_TAKEN_EACH, 0) < q->config.taken_each;
	db_end(&q->db, QUEUE_TAKEN_EACH);
	return may;
}

static void make_ready(struct queue *q, struct queue_item *item)
{
	q->out++;
	pthread_mutex_lock(&q->lock);
	TAILQ_INSERT_TAIL(&q->ready, item, link);
	q->stats.taken++;
	pthread_mutex_unlock(&q->lock);
}

/* One event of one function. Returns 1, or 0 there is none. */
static int take_one(struct queue *q, const char *function, int64_t now, struct err *err)
{
	struct queue_item *item;
	int ret = may_take(q, function, err);

	if (ret <= 0)
		return ret;
	ret = DB_QUERY(&q->db, QUEUE_NEXT, err, DB_TEXT(function), DB_INT(now));
	if (ret <= 0)
		return ret;
	item = queue_item_load(&q->db, QUEUE_NEXT);
	db_end(&q->db, QUEUE_NEXT);
	if (!item)
		return err_set(err, ENOMEM, "queue: out of memory");
	ret = DB_RUN(&q->db, QUEUE_TAKE, err, DB_INT(item->event.id), DB_TEXT(function));
	if (ret < 0) {
		queue_item_free(item);
		return ret;
	}
	make_ready(q, item);
	return 1;
}

int queue_fill(struct queue *q, int64_t now, struct err *err)
{
	bool found = false;
	int begun = 0; /* how often it came to the end of all functions */
	int ret = 0;

	while (ret >= 0 && q->out < q->config.taken) {
		ret = turn(q, err);
		if (ret == 0 && begun > 0 && !found)
			return 0;
		if (ret == 0) {
			begun++;
			found = false;
		}
		if (ret > 0)
			ret = take_one(q, q->last_function, now, err);
		found |= ret > 0;
	}
	return ret;
}
