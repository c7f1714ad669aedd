/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection of a client that keeps it alive (HTTP/1.1, RFC 9112), with one
 * request under way at most. Nothing waits but client_connect.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"
#include "tools/thaw/blob.h"

struct err;

struct client {
	int fd; /* -1: not connected */
	struct blob out, in;
	size_t sent;
};

/* What came back. It points into the connection, until the next request. */
struct client_reply {
	unsigned int status;
	const char *error_type;	    /* x-amzn-ErrorType; NULL: none */
	const char *function_error; /* X-Amz-Function-Error; NULL: none */
	bool is_last;		    /* the server closes the connection */
	const uint8_t *body;
	size_t len;
};

/* @address: as listen.h has them. Errors: -EINVAL; what connect says. */
int client_connect(struct client *c, const char *address, struct err *err) must_check;
void client_close(struct client *c);
void client_free(struct client *c);

/* POST @body to @path. Returns as client_flush. */
int client_post(struct client *c, const char *path, const void *body, size_t len) must_check;
/* Returns 0: all of it is on its way; -EAGAIN: not yet; -ENOMEM; what send says. */
int client_flush(struct client *c) must_check;

/*
 * client_receive - take what came.
 * Returns 0: @r is whole; -EAGAIN: not yet. Errors: -ECONNRESET the server has gone; -EPROTO it
 * speaks no HTTP, or said more than one reply; -ENOMEM.
 */
int client_receive(struct client *c, struct client_reply *r) must_check;
