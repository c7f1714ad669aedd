/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - an HTTP/1.1 server on a loop (libmicrohttpd without threads of its own). A request
 * is handed to its route's handler when all of it is there; it may be answered at once or
 * later, and waits without a thread.
 *
 * Clients are hostile. What they may cost us is bounded: connections, bytes of headers
 * (HTTP_HEADERS_MAX), bytes of a body (by route) and of all bodies together, and the time that they
 * take for a request's headers, for its body, and for reading the answer. Only while an answer
 * is awaited from us the clock does not run.
 *
 *	for (;;) {
 *		loop_wait(loop, http_deadline(http));	// or what is nearer
 *		http_tick(http);
 *	}
 *
 * Everything is called on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "tools/thawd/stamp.h"
#include "tools/thaw/uri.h"

struct err;
struct http;
struct http_request;
struct loop;

#define HTTP_HEADERS_MAX 32768u /* ours: bytes of request line and headers, about */
#define HTTP_ID_SIZE	 STAMP_UUID_SIZE

struct http_route {
	const char *method;
	const char *path; /* a segment "*" stands for any that is not empty */
	size_t max_body;  /* bytes */
	/* Answer, or call http_wait and answer later. @data: of the routes. */
	void (*handle)(struct http_request *r, void *data);
};

struct http_routes {
	const struct http_route *routes; /* the first that fits is taken */
	size_t nroutes;
	void *data;
};

/* Why a request comes to no handler. */
enum http_refusal {
	HTTP_UNKNOWN,	/* no such path, or not with this method */
	HTTP_TOO_LARGE, /* its body; http_max_body says what may be */
	HTTP_BUSY,	/* limits.bodies */
};

struct http_limits {
	uint32_t connections; /* of one door; whoever comes then waits to be accepted */
	uint32_t per_address; /* of them, from one IP address; 0: no limit */
	size_t bodies;	      /* bytes of all bodies that are being received or handled */
	nsec_t patience; /* with headers (or the next request), with a body, with an answer */
};

struct http_config {
	const struct http_routes *tables; /* all of it stays the caller's, and in place */
	size_t ntables;
	struct http_limits limits;
	void (*refuse)(struct http_request *r, enum http_refusal why); /* must answer */
};

/* For who may ask: called when the request is whole. False: it has answered. */
struct http_guard {
	bool (*admit)(struct http_request *r, const struct digest *body, void *data);
	void *data;
};

/* PEM. Clients need a certificate that @trust vouches for; others get no handshake. */
struct http_tls {
	const char *certificate, *key, *trust;
};

/* Where clients come in. */
struct http_door {
	int fd;				/* listens, non-blocking; stays the caller's */
	const struct http_tls *tls;	/* NULL: none; may go when it is open */
	const struct http_guard *guard; /* NULL: whoever comes in may ask */
};

int http_create(struct http **out, struct loop *loop, const struct http_config *config,
		struct err *err) must_check;
/* Cut all connections; requests that wait are cancelled. Not from a callback. NULL is allowed. */
void http_destroy(struct http *h);

int http_open(struct http *h, const struct http_door *door, struct err *err) must_check;

/*
 * No new connections, and each serves one request more at most. What is under way goes on. Idle
 * connections are cut only after a moment: what their clients have sent meanwhile is answered.
 */
void http_drain(struct http *h);
/* Is all of that done? */
bool http_is_drained(const struct http *h);

bool http_is_pending(const struct http *h); /* has http_tick more to do, now? */
nsec_t http_deadline(const struct http *h); /* for loop_wait; 0: none */
void http_tick(struct http *h);

struct http_stats {
	uint64_t connections;	   /* accepted */
	uint64_t requests;	   /* with whole headers */
	uint64_t refused;	   /* by a guard or a limit, or unknown */
	uint64_t hung_up;	   /* clients that went while their answer was awaited */
	uint64_t timed_out;	   /* connections cut for their slowness */
	uint32_t open_connections; /* now */
	uint32_t waiting;	   /* requests whose answer is awaited, now */
	uint32_t unfinished;	   /* with whole headers, whose answer is not all sent, now */
	size_t body_bytes;	   /* held, now */
};
const struct http_stats *http_stats(const struct http *h);

/* ---- a request. All that is handed out lives until it is answered or cancelled ---- */

const char *http_method(const struct http_request *r);
const struct uri *http_uri(const struct http_request *r);
const char *http_id(const struct http_request *r); /* made by us */
nsec_t http_received(const struct http_request *r);
const uint8_t *http_body(const struct http_request *r, size_t *len);
size_t http_max_body(const struct http_request *r); /* of its route; 0: it has none */

/* The first header of that name, NULL: none. */
const char *http_header(const struct http_request *r, const char *name);
/* All headers, until @each returns false. */
void http_headers(const struct http_request *r,
		  bool (*each)(void *data, const char *name, const char *value), void *data);

/* It will be answered later. @cancel: the client has gone, and the request with it. */
void http_wait(struct http_request *r, void (*cancel)(void *data), void *data);

struct http_field {
	const char *name, *value; /* value NULL: the field is left out */
};

struct http_answer {
	unsigned status;
	const char *type; /* of the body; NULL: no such header */
	const void *body;
	size_t len;
	const struct http_field *fields;
	size_t nfields;
};

/* Everything is copied. The request may be gone when it returns. */
void http_answer(struct http_request *r, const struct http_answer *a);
