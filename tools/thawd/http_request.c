/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "engine/err.h"
#include "tools/thawd/http_inside.h"
#include "tools/thawd/stamp.h"

/* Ours: a body that is larger than its route allows is read and dropped up to this size, so that
 * its client gets to reading the answer; who sends more is cut off. */
#define DROPPED_MAX (16u << 20)

#define FIRST_CAP (8u << 10) /* ours: of a body's buffer; it doubles as bytes come */

/* ---- its body ---- */

static size_t most(const struct http_request *r)
{
	return r->route ? r->route->max_body : 0;
}

static bool is_too_large(const struct http_request *r)
{
	return r->route && r->seen > most(r);
}

static void drop_body(struct http_request *r)
{
	r->entry->http->stats.body_bytes -= r->cap;
	free(r->body);
	r->body = NULL;
	r->len = r->cap = 0;
}

/* Room for @len bytes more. False: over the budget of all bodies, or no memory. */
static bool grow(struct http_request *r, size_t len)
{
	struct http *h = r->entry->http;
	size_t cap = MAX(r->cap, FIRST_CAP);
	void *body;

	if (r->cap - r->len >= len)
		return true;
	while (cap - r->len < len)
		cap *= 2;
	cap = MIN(cap, most(r));
	if (cap == 0 || h->stats.body_bytes - r->cap + cap > h->config.limits.bodies)
		return false;
	body = realloc(r->body, cap);
	if (!body)
		return false;
	h->stats.body_bytes += cap - r->cap;
	r->body = body;
	r->cap = cap;
	return true;
}

static void keep(struct http_request *r, const char *bytes, size_t len)
{
	if (r->is_over_budget || r->seen > most(r))
		return drop_body(r);
	if (!grow(r, len) || (r->digest.ctx && digest_add(&r->digest, bytes, len, NULL) < 0)) {
		r->is_over_budget = true;
		return drop_body(r);
	}
	memcpy(r->body + r->len, bytes, len);
	r->len += len;
}

/* ---- from its first line to its answer ---- */

struct http_request *http_request_create(struct http_entry *e, struct MHD_Connection *c,
					 const char *target)
{
	struct http_request *r = calloc(1, sizeof(*r));
	const union MHD_ConnectionInfo *peer =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (!r)
		return NULL;
	r->entry = e;
	r->connection = c;
	r->peer = peer->socket_context;
	r->target = strdup(target);
	if (!r->target || !r->peer || stamp_uuid(r->id, NULL) < 0) {
		http_request_destroy(r);
		return NULL;
	}
	r->peer->is_idle = false;
	return r;
}

void http_request_destroy(struct http_request *r)
{
	struct http *h = r->entry->http;

	drop_body(r);
	h->stats.unfinished -= r->has_headers;
	digest_drop(&r->digest);
	if (r->response)
		MHD_destroy_response(r->response);
	if (r->peer) { /* the next request of this connection, if there is one */
		r->peer->is_idle = true;
		http_peer_start(&h->peers, r->peer, h->config.limits.patience);
	}
	free(r->target);
	free(r);
}

static void refuse(struct http_request *r, enum http_refusal why)
{
	struct http *h = r->entry->http;

	h->stats.refused++;
	r->state = HTTP_HANDLING;
	h->config.refuse(r, why);
}

static enum MHD_Result send_answer(struct http_request *r)
{
	return MHD_queue_response(r->connection, r->status, r->response);
}

/* Bytes that its headers announce; 0: none, or it comes in chunks. */
static uint64_t announced(const struct http_request *r)
{
	const char *text = http_header(r, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return text ? strtoull(text, NULL, 10) : 0;
}

static enum MHD_Result headers_came(struct http_request *r, const char *method)
{
	struct http *h = r->entry->http;
	uint64_t body = announced(r);

	r->has_headers = true;
	r->method = method;
	r->received = clock_monotonic();
	http_peer_start(&h->peers, r->peer, h->config.limits.patience);
	h->stats.requests++;
	h->stats.unfinished++;
	if (uri_split(&r->uri, r->target) == 0)
		r->route = http_find_route(&h->config, method, &r->uri, &r->route_data);
	if (r->entry->guard.admit && digest_begin(&r->digest, NULL) < 0)
		return MHD_NO;
	if (body <= DROPPED_MAX)
		return MHD_YES;
	refuse(r, r->route ? HTTP_TOO_LARGE : HTTP_UNKNOWN);
	return send_answer(r);
}

static enum MHD_Result bytes_came(struct http_request *r, const char *bytes, size_t *len)
{
	r->seen += *len;
	if (r->seen > DROPPED_MAX)
		return MHD_NO;
	keep(r, bytes, *len);
	*len = 0;
	return MHD_YES;
}

static bool admit(struct http_request *r)
{
	const struct http_guard *g = &r->entry->guard;
	struct digest body;
	bool ok;

	if (!g->admit)
		return true;
	if (digest_end(&r->digest, &body, NULL) < 0) {
		refuse(r, HTTP_BUSY);
		return false;
	}
	ok = g->admit(r, &body, g->data);
	r->entry->http->stats.refused += !ok;
	return ok;
}

/* All of it is there. Its handler answers, or says that it will. */
static enum MHD_Result all_came(struct http_request *r)
{
	http_peer_stop(&r->entry->http->peers, r->peer);
	r->state = HTTP_HANDLING;
	if (is_too_large(r))
		refuse(r, HTTP_TOO_LARGE);
	else if (r->is_over_budget)
		refuse(r, HTTP_BUSY);
	else if (admit(r) && r->route)
		r->route->handle(r, r->route_data);
	else if (r->state == HTTP_HANDLING)
		refuse(r, HTTP_UNKNOWN);
	return r->state == HTTP_WAITING ? MHD_YES : send_answer(r);
}

enum MHD_Result http_request_step(struct http_request *r, const char *method,
				  const char *upload, size_t *len)
{
	if (!r->has_headers)
		return headers_came(r, method);
	if (r->state == HTTP_CUT)
		return MHD_NO;
	if (r->state == HTTP_ANSWERED)
		return send_answer(r);
	return *len > 0 ? bytes_came(r, upload, len) : all_came(r);
}

/* ---- waiting and answering ---- */

/* Ours: most answers come sooner, and cost no system calls to hear of clients that go. */
#define WATCHED_AFTER (5 * NSEC_PER_MSEC)

static struct http_requests *waiting_list(struct http_request *r)
{
	struct http *h = r->entry->http;

	return r->is_watched ? &h->watched : &h->waiting;
}

static void watch(struct http *h, struct http_request *r)
{
	struct epoll_event event = { .events = EPOLLRDHUP, .data.ptr = r };

	TAILQ_REMOVE(&h->waiting, r, link);
	TAILQ_INSERT_TAIL(&h->watched, r, link);
	r->is_watched = true;
	/* Without memory for that, its end is seen when it is answered. */
	epoll_ctl(h->gone.fd, EPOLL_CTL_ADD, r->peer->fd, &event);
}

nsec_t http_requests_watch(struct http *h, nsec_t now)
{
	struct http_request *r;

	while ((r = TAILQ_FIRST(&h->waiting)) && r->watched_from <= now)
		watch(h, r);
	return r ? r->watched_from : 0;
}

static void stop_waiting(struct http_request *r, enum http_state then)
{
	struct http *h = r->entry->http;

	if (r->is_watched)
		epoll_ctl(h->gone.fd, EPOLL_CTL_DEL, r->peer->fd, NULL);
	TAILQ_REMOVE(waiting_list(r), r, link);
	r->is_watched = false;
	h->stats.waiting--;
	r->state = then;
	MHD_resume_connection(r->connection);
	r->entry->is_pending = true; /* at the next tick, not only at the next wait */
}

void http_wait(struct http_request *r, void (*cancel)(void *data), void *data)
{
	struct http *h = r->entry->http;

	r->cancel = cancel;
	r->cancel_data = data;
	r->state = HTTP_WAITING;
	r->watched_from = clock_monotonic() + WATCHED_AFTER;
	TAILQ_INSERT_TAIL(&h->waiting, r, link);
	h->stats.waiting++;
	MHD_suspend_connection(r->connection);
}

void http_request_cancel(struct http_request *r)
{
	stop_waiting(r, HTTP_CUT);
	r->cancel(r->cancel_data);
}

static struct MHD_Response *make_response(const struct http_request *r,
					  const struct http_answer *a)
{
	/* libmicrohttpd's parameter is not const, but with this mode it copies. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		a->len, a->len ? (void *)(uintptr_t)a->body : NULL, MHD_RESPMEM_MUST_COPY);

	if (!response)
		return NULL;
	MHD_add_response_header(response, "x-amzn-RequestId", r->id);
	if (a->type)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, a->type);
	if (r->entry->http->is_draining)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	for (size_t i = 0; i < a->nfields; i++)
		if (a->fields[i].value)
			MHD_add_response_header(response, a->fields[i].name,
						a->fields[i].value);
	return response;
}

void http_answer(struct http_request *r, const struct http_answer *a)
{
	struct http *h = r->entry->http;
	bool was_waiting = r->state == HTTP_WAITING;

	r->response = make_response(r, a); /* NULL is refused by send_answer: it is closed */
	r->status = a->status;
	drop_body(r);
	http_peer_start(&h->peers, r->peer, h->config.limits.patience);
	if (was_waiting)
		stop_waiting(r, HTTP_ANSWERED);
	else
		r->state = HTTP_ANSWERED;
}

/* ---- what handlers ask ---- */

const char *http_method(const struct http_request *r)
{
	return r->method;
}

const struct uri *http_uri(const struct http_request *r)
{
	return &r->uri;
}

const char *http_id(const struct http_request *r)
{
	return r->id;
}

nsec_t http_received(const struct http_request *r)
{
	return r->received;
}

const uint8_t *http_body(const struct http_request *r, size_t *len)
{
	*len = r->len;
	return r->body;
}

size_t http_max_body(const struct http_request *r)
{
	return most(r);
}

const char *http_header(const struct http_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

struct each_header {
	bool (*each)(void *data, const char *name, const char *value);
	void *data;
};

static enum MHD_Result on_header(void *cls, enum MHD_ValueKind kind, const char *name,
				 const char *value)
{
	struct each_header *e = cls;

	(void)kind;
	return e->each(e->data, name, value ? value : "") ? MHD_YES : MHD_NO;
}

void http_headers(const struct http_request *r,
		  bool (*each)(void *data, const char *name, const char *value), void *data)
{
	struct each_header e = { each, data };

	MHD_get_connection_values(r->connection, MHD_HEADER_KIND, on_header, &e);
}
