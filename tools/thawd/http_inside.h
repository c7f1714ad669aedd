/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_inside.h - what http.c (doors and connections) and http_request.c (one request from its
 * first line to its end) share.
 */
#pragma once

#include <microhttpd.h>
#include <sys/queue.h>

#include "engine/loop.h"
#include "tools/thawd/http.h"
#include "tools/thawd/http_peer.h"

TAILQ_HEAD(http_requests, http_request);

/* An open door: a daemon of libmicrohttpd with an epoll descriptor of its own. */
struct http_entry {
	struct loop_watch watch; /* of that descriptor */
	struct http *http;
	struct MHD_Daemon *daemon;
	struct http_guard guard; /* admit NULL: none */
	bool is_pending;	 /* it has more to do, though its descriptor may not say so */
	SLIST_ENTRY(http_entry) link;
};

struct http {
	struct loop *loop;
	struct http_config config;
	struct http_stats stats;
	struct http_peers peers;
	/*
	 * The sockets of those that wait, to hear when a client goes; libmicrohttpd does not
	 * look then. An epoll descriptor of its own, asked for one event at a time, because a
	 * batch could hold requests that the one before it ended.
	 */
	struct loop_watch gone;
	SLIST_HEAD(, http_entry) entries;
	struct http_requests waiting; /* who came first is first */
	struct http_requests watched; /* these wait, too, and are in @gone */
	bool is_draining;
	nsec_t cut_at; /* idle connections, then; 0: never, or they were */
};

enum http_state {
	HTTP_RECEIVING,
	HTTP_HANDLING, /* its handler runs */
	HTTP_WAITING,  /* for its answer, suspended */
	HTTP_ANSWERED,
	HTTP_CUT, /* no answer: the connection is to be closed */
};

struct http_request {
	TAILQ_ENTRY(http_request) link; /* while it waits */
	bool is_watched;
	nsec_t watched_from; /* if it still waits then */
	struct http_entry *entry;
	struct MHD_Connection *connection;
	struct http_peer *peer;
	enum http_state state;
	bool has_headers;
	bool is_over_budget;
	char id[HTTP_ID_SIZE];
	char *target; /* as it came; what @uri points into */
	struct uri uri;
	const char *method;
	const struct http_route *route; /* NULL: unknown */
	void *route_data;
	nsec_t received;
	uint8_t *body;
	size_t len, cap;
	uint64_t seen; /* bytes of the body that came, also those that were not kept */
	struct digest_stream digest; /* of the body, if there is a guard */
	void (*cancel)(void *data);
	void *cancel_data;
	struct MHD_Response *response;
	unsigned status;
};

/* NULL: no memory. The connection is then closed by http_request_step. */
struct http_request *http_request_create(struct http_entry *e, struct MHD_Connection *c,
					 const char *target);
void http_request_destroy(struct http_request *r);

/* libmicrohttpd's access handler: headers are whole; then bytes of a body, if any; then no more
 * bytes; and once more when a request that waited goes on. */
enum MHD_Result http_request_step(struct http_request *r, const char *method,
				  const char *upload, size_t *len);

/* Watch the clients of those that wait for long. Returns when to do that again; 0: for nobody. */
nsec_t http_requests_watch(struct http *h, nsec_t now);

/* It waits, and its client is no longer there, or we end. */
void http_request_cancel(struct http_request *r);

/* The route for a request; http_route.c. */
const struct http_route *http_find_route(const struct http_config *config, const char *method,
					 const struct uri *uri, void **data);
