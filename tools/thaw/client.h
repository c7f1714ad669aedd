/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - thawd's calls, from outside: requests by HTTP, one after the other over one
 * connection, and its refusals as ours.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "tools/thaw/blob.h"
#include "tools/thaw/curl.h"

struct err;

#define CLIENT_MAX_PATH 1024u /* of a target; ours */

struct client {
	struct curl curl;
	void *handle;	/* libcurl's */
	const char *at; /* where thawd is, as the user wrote it; the caller's */
};

/*
 * client_open - look for thawd at @at; NULL: where $THAWD says, else at the usual place. Nothing
 * is sent.
 *
 * @at: unix:/PATH or http://HOST:PORT; stays the caller's, and in place
 *
 * client_close is safe afterwards in every case.
 * Errors: -EINVAL @at is neither; -ENOENT no libcurl; -ENOMEM.
 */
int client_open(struct client *c, const char *at, struct err *err) must_check;
void client_close(struct client *c);

struct client_ask {
	const char *method;
	const char *path;	    /* with its query, encoded */
	const char *const *headers; /* "Name: value" each, NULL at the end; NULL: none */
	const void *body;
	size_t len;
	unsigned int timeout_ms; /* for the answer; 0: none */
};

/*
 * client_call - ask, and wait for the answer.
 *
 * @body: the answer's, in place of what it held
 *
 * Returns 0 when what was asked for was done. Errors: -ENOENT, -EEXIST, -EBUSY or -EINVAL, with
 * thawd's own words; -ECONNREFUSED nobody answers; -EPROTO no answer of thawd's; -EFBIG; -ENOMEM.
 */
int client_call(struct client *c, const struct client_ask *ask, struct blob *body,
		struct err *err) must_check;

/* A header of the last answer, until the next call; NULL: it had none. */
const char *client_header(const struct client *c, const char *name);

/* client_json - as client_call, and the answer as JSON, the caller's. NULL: @err says why. */
json_t *client_json(struct client *c, const struct client_ask *ask, struct err *err);

/*
 * client_path - a target: @fmt, whose every %s stands for a text that is encoded first.
 * Errors: -ENAMETOOLONG; -ENOMEM.
 */
int client_path(const struct client *c, char path[CLIENT_MAX_PATH], struct err *err,
		const char *fmt, ...) must_check;
