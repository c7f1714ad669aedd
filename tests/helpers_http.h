/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_http.h - thawd's HTTP server and its clients in one thread: a client's bytes go to its
 * socket, and the loop turns until the answer is there.
 */
#pragma once

#include <stdbool.h>

#include "engine/loop.h"
#include "tools/thawd/http.h"

struct http_host {
	struct loop loop;
	struct http *http;
	int fd; /* listens */
};

/* At a free port of 127.0.0.1, or at @path. Assert. */
void http_host_start(struct http_host *h, const struct http_config *config,
		     const struct http_guard *guard);
void http_host_stop(struct http_host *h);

int http_host_port(const struct http_host *h);

/* A new connection, non-blocking. */
int http_host_connect(const struct http_host *h);

/* The loop turns once, for at most @ms. */
void http_host_turn(struct http_host *h, unsigned ms);

/* Send bytes, while the loop turns. False: the server has closed. */
bool http_host_send(struct http_host *h, int fd, const void *bytes, size_t len);

/*
 * http_host_receive - one whole answer, NUL behind it; "" when the server closes instead. A
 * server that says nothing for ten seconds fails the test. The caller frees it.
 */
char *http_host_receive(struct http_host *h, int fd);

/* The same, of a request that is sent first, over a connection of its own. */
char *http_host_ask(struct http_host *h, const char *request);

/* Parts of an answer: its status; whether it has that header line; what is behind the headers. */
int http_status(const char *answer);
bool http_has(const char *answer, const char *line);
const char *http_payload(const char *answer);
