/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - the caller's side. */
#include "tools/thawd/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/thread.h"
#include "tools/thawd/queue_state.h"

#define MAX_WAITING_BYTES (64ull << 20) /* of events that are not on the disk yet; ours */

void queue_config_default(struct queue_config *config)
{
	*config = (struct queue_config){ .retry_ms = { 60000, 120000 },
					 .taken = 256,
					 .taken_each = 16,
					 .max_events = 1000000 };
}

void queue_item_free(struct queue_item *item)
{
	free(item->error);
	free(item->reply);
	free(item);
}

void queue_list_free(struct queue_list *list)
{
	struct queue_item *item;

	while ((item = TAILQ_FIRST(list))) {
		TAILQ_REMOVE(list, item, link);
		queue_item_free(item);
	}
}

/* ---- opening ---- */

/* Its own copies of what the configuration points to. */
static int copy_config(struct queue *q, const struct queue_config *config, struct err *err)
{
	q->config = *config;
	q->config.path = strdup(config->path);
	q->config.dead_letters = strdup(config->dead_letters);
	if (!q->config.path || !q->config.dead_letters)
		return err_set(err, ENOMEM, "open %s: out of memory", config->path);
	return 0;
}

static void queue_free(struct queue *q)
{
	db_close(&q->db);
	queue_list_free(&q->requests);
	queue_list_free(&q->answers);
	queue_list_free(&q->ready);
	queue_list_free(&q->taken);
	queue_list_free(&q->kept); /* given out again by whoever opens it next */
	fd_cleanup(&q->event_fd);
	pthread_cond_destroy(&q->asked);
	pthread_mutex_destroy(&q->lock);
	free(q->last_function);
	free((char *)(uintptr_t)q->config.path);
	free((char *)(uintptr_t)q->config.dead_letters);
	free(q);
}

static struct queue *queue_alloc(void)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	TAILQ_INIT(&q->requests);
	TAILQ_INIT(&q->answers);
	TAILQ_INIT(&q->ready);
	TAILQ_INIT(&q->taken);
	TAILQ_INIT(&q->kept);
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->asked, NULL);
	q->event_fd = -1;
	return q;
}

int queue_open(struct queue **queue, const struct queue_config *config, struct err *err)
{
	struct queue *q = queue_alloc();
	int ret;

	if (!q)
		return err_set(err, ENOMEM, "open %s: out of memory", config->path);
	ret = copy_config(q, config, err);
	if (ret == 0)
		ret = db_open(&q->db, config->path, &queue_kind, queue_statements,
			      QUEUE_NSTATEMENTS, err);
	if (ret == 0)
		ret = queue_thread_prepare(q, err);
	if (ret == 0) {
		q->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ret = q->event_fd < 0 ? err_sys(err, "eventfd") : 0;
	}
	if (ret == 0) {
		ret = thread_start(&q->thread, queue_thread, q);
		if (ret < 0)
			err_set(err, -ret, "start a thread: %s", strerrordesc_np(-ret));
	}
	if (ret < 0) {
		queue_free(q);
		return ret;
	}
	*queue = q;
	return 0;
}

void queue_close(struct queue *q)
{
	if (!q)
		return;
	pthread_mutex_lock(&q->lock);
	q->stop = true;
	pthread_cond_signal(&q->asked);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->thread, NULL);
	queue_dispatch(q);
	queue_free(q);
}

/* ---- requests ---- */

static void ask(struct queue *q, struct queue_item *item, enum queue_verb verb)
{
	item->verb = verb;
	pthread_mutex_lock(&q->lock);
	TAILQ_INSERT_TAIL(&q->requests, item, link);
	pthread_cond_signal(&q->asked);
	pthread_mutex_unlock(&q->lock);
}

static int check_event(const struct queue_event *e, struct err *err)
{
	const char *const texts[] = { e->function, e->qualifier, e->request_id, e->trace,
				      e->client_context };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strlen(texts[i]) > QUEUE_MAX_TEXT)
			return err_set(err, EINVAL,
				       "an event's text has %zu bytes, largest allowed is %u",
				       strlen(texts[i]), QUEUE_MAX_TEXT);
	}
	if (e->len > QUEUE_MAX_PAYLOAD)
		return err_set(err, EMSGSIZE,
			       "the payload has %zu bytes, largest allowed is %u", e->len,
			       QUEUE_MAX_PAYLOAD);
	if (e->retries > QUEUE_MAX_RETRIES)
		return err_set(err, EINVAL, "%" PRIu32 " retries, expected 0 to %u", e->retries,
			       QUEUE_MAX_RETRIES);
	if (e->max_age_ms < 1 || e->max_age_ms > QUEUE_MAX_AGE_MS)
		return err_set(err, EINVAL, "maximum age is %" PRIu32 " ms, expected 1 to %u",
			       e->max_age_ms, QUEUE_MAX_AGE_MS);
	return 0;
}

/* Count it in, if there is room. */
static int reserve(struct queue *q, size_t len, struct err *err)
{
	int ret = 0;

	pthread_mutex_lock(&q->lock);
	if (q->stats.events + q->nputs >= q->config.max_events)
		ret = err_set(err, EAGAIN, "the queue is full: it has %" PRIu32 " events",
			      q->config.max_events);
	else if (q->nbytes + len > MAX_WAITING_BYTES)
		ret = err_set(err, EAGAIN,
			      "%" PRIu64 " bytes of events wait for the disk already",
			      q->nbytes);
	if (ret == 0) {
		q->nputs++;
		q->nbytes += len;
	}
	pthread_mutex_unlock(&q->lock);
	return ret;
}

int queue_put(struct queue *q, const struct queue_event *event, queue_accepted *accepted,
	      void *arg, struct err *err)
{
	struct queue_item *item;
	int ret = check_event(event, err);

	if (ret < 0)
		return ret;
	item = queue_item_copy(event);
	if (!item)
		return err_set(err, ENOMEM, "an event of %zu bytes: out of memory", event->len);
	ret = reserve(q, event->len, err);
	if (ret < 0) {
		queue_item_free(item);
		return ret;
	}
	item->accepted = accepted;
	item->arg = arg;
	ask(q, item, QUEUE_PUT);
	return 0;
}

int queue_forget(struct queue *q, const char *function, struct err *err)
{
	struct queue_event event = { .function = function,
				     .qualifier = "",
				     .request_id = "",
				     .trace = "",
				     .client_context = "" };
	struct queue_item *item = queue_item_copy(&event);

	if (!item)
		return err_set(err, ENOMEM, "forget the events of %s: out of memory", function);
	ask(q, item, QUEUE_FORGET);
	return 0;
}

/* ---- answers ---- */

int queue_fd(const struct queue *q)
{
	return q->event_fd;
}

static struct queue_item *take_first(struct queue *q, struct queue_list *list)
{
	struct queue_item *item;

	pthread_mutex_lock(&q->lock);
	item = TAILQ_FIRST(list);
	if (item)
		TAILQ_REMOVE(list, item, link);
	if (item && list == &q->answers) {
		q->nputs--;
		q->nbytes -= item->event.len;
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

void queue_dispatch(struct queue *q)
{
	struct queue_item *item;
	uint64_t n;

	if (read(q->event_fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		return;
	while ((item = take_first(q, &q->answers))) {
		item->accepted(item->arg, item->ret, item->ret < 0 ? &item->err : NULL);
		queue_item_free(item);
	}
}

const struct queue_event *queue_take(struct queue *q)
{
	struct queue_item *item = take_first(q, &q->ready);

	if (!item)
		return NULL;
	TAILQ_INSERT_TAIL(&q->taken, item, link);
	return &item->event;
}

static struct queue_item *give_back(struct queue *q, const struct queue_event *event)
{
	struct queue_item *item =
		container_of((struct queue_event *)(uintptr_t)event, struct queue_item, event);

	TAILQ_REMOVE(&q->taken, item, link);
	return item;
}

void queue_done(struct queue *q, const struct queue_event *event)
{
	ask(q, give_back(q, event), QUEUE_DONE);
}

void queue_fail(struct queue *q, const struct queue_event *event, const char *error,
		const void *reply, size_t len)
{
	struct queue_item *item = give_back(q, event);

	/* What there is no memory for is not said. */
	item->error = strdup(error);
	item->reply = reply && len <= QUEUE_MAX_PAYLOAD ? malloc(len + 1) : NULL;
	if (item->reply) {
		memcpy(item->reply, reply, len);
		item->reply_len = len;
	}
	ask(q, item, QUEUE_FAIL);
}

void queue_defer(struct queue *q, const struct queue_event *event, uint32_t delay_ms)
{
	struct queue_item *item = give_back(q, event);

	item->delay_ms = delay_ms;
	ask(q, item, QUEUE_DEFER);
}

void queue_stats(struct queue *q, struct queue_stats *stats)
{
	pthread_mutex_lock(&q->lock);
	*stats = q->stats;
	pthread_mutex_unlock(&q->lock);
}
