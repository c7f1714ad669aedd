/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/events.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "engine/err.h"
#include "tools/thawd/manager_state.h"
#include "tools/thawd/queue.h"

/* Ours: before an event is tried again for which there was no machine. */
#define PUT_OFF_MS 1000u

/* A client that waits until its event is on the disk. */
struct ticket {
	struct call *call; /* NULL: it has gone */
};

/* ---- in ---- */

static void accepted(void *arg, int ret, const struct err *err)
{
	struct ticket *t = arg;
	struct outcome o = { 0 };

	if (ret < 0)
		o = (struct outcome){ .error = AWS_SERVICE, .message = err->text };
	if (t->call)
		call_done(t->call, &o);
	free(t);
}

static int put(struct manager *m, struct call *call, struct ticket *t, struct err *err)
{
	const struct queue_event e = {
		.function = call->function,
		.qualifier = call->qualifier,
		.request_id = call->id,
		.trace = call->traceparent ? call->traceparent : "",
		.client_context = call->client_context ? call->client_context : "",
		.payload = call->payload,
		.len = call->len,
		.max_age_ms = QUEUE_MAX_AGE_MS,
		.retries = QUEUE_MAX_RETRIES,
	};

	return queue_put(m->config.queue, &e, accepted, t, err);
}

void events_put(struct manager *m, struct call *call)
{
	struct ticket *t = calloc(1, sizeof(*t));
	struct err err = { "no memory for an event" };
	int ret = -ENOMEM;

	if (t) {
		t->call = call;
		call->data = t;
		ret = put(m, call, t, &err);
	}
	if (ret == 0)
		return;
	free(t);
	call_done(call, &(struct outcome){ .error = ret == -EAGAIN ? AWS_TOO_MANY_REQUESTS
								   : AWS_SERVICE,
					   .message = err.text });
}

void events_forget(struct call *call)
{
	struct ticket *t = call->data;

	t->call = NULL;
}

/* ---- out ---- */

static void begin(struct manager *m, const struct queue_event *e)
{
	struct function *f;
	struct err err;
	int ret = function_find(&f, m, e->function, e->qualifier, &err);

	if (ret == 0)
		ret = invocation_begin(
			f, &(struct invocation){ .event = e,
						 .id = e->request_id,
						 .trace = *e->trace ? e->trace : NULL,
						 .payload = e->payload,
						 .len = e->len });
	if (ret == -ENOMEM)
		queue_defer(m->config.queue, e, PUT_OFF_MS);
	else if (ret < 0)
		queue_fail(m->config.queue, e, err.text, NULL, 0);
}

void events_take(struct manager *m)
{
	const struct queue_event *e;

	while (!m->is_stopping && (e = queue_take(m->config.queue)))
		begin(m, e);
}

void events_end(struct invocation *inv, const struct outcome *outcome)
{
	struct queue *q = inv->function->m->config.queue;

	/* A machine that was taken away: whoever opens the queue next has the event. */
	if (inv->function->m->is_stopping && (outcome->error || outcome->function_error))
		return;
	/* Nobody hears its reply: of an event that is over, what it printed is there. */
	function_write_log(inv->function);
	if (outcome->error == AWS_TOO_MANY_REQUESTS || outcome->error == AWS_RESOURCE_CONFLICT)
		queue_defer(q, inv->event, PUT_OFF_MS);
	else if (outcome->error || outcome->function_error)
		queue_fail(q, inv->event, outcome->message, outcome->body, outcome->len);
	else
		queue_done(q, inv->event);
}

/* ---- the loop ---- */

static int on_queue(struct loop_watch *w, uint32_t events)
{
	struct manager *m = container_of(w, struct manager, queue_watch);

	(void)events;
	queue_dispatch(m->config.queue);
	events_take(m);
	return 0;
}

int events_open(struct manager *m, struct err *err)
{
	int ret;

	m->queue_watch =
		(struct loop_watch){ .fd = queue_fd(m->config.queue), .callback = on_queue };
	ret = loop_add(m->config.loop, &m->queue_watch, EPOLLIN, err);
	if (ret < 0)
		m->queue_watch.fd = -1;
	return ret;
}

void events_close(struct manager *m)
{
	if (m->queue_watch.fd >= 0)
		loop_remove(m->config.loop, &m->queue_watch);
}
