/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - thawd's calls, from outside: requests by HTTP, one after the other over one
 * connection, and its refusals as ours. Who has keys in the environment, as AWS's tools look for
 * them there, signs.
 */
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "tools/thaw/blob.h"
#include "tools/thaw/curl.h"
#include "tools/thaw/sigv4_sign.h"

struct err;

#define CLIENT_MAX_PATH 1024u /* of a target; ours */

/* Where thawd is, and what is needed to get in. The caller's, and stays in place. */
struct client_place {
	const char
		*at; /* unix:/PATH, HOST:PORT, http://... or https://...; NULL: client_open */
	const char
		*cacert; /* who vouches for thawd's certificate; NULL: whom the system trusts */
	const char *cert, *key; /* ours; NULL: none. All three are PEM files */
};

/* Options for all of it: to be put first in a list of long ones, with values of their own up to
 * CLIENT_OPTIONS_END. client_take takes one of them, or says no. */
enum { CLIENT_AT = 256, CLIENT_CACERT, CLIENT_CERT, CLIENT_KEY, CLIENT_OPTIONS_END };
/* clang-format off */
#define CLIENT_OPTIONS                                           \
	{ "at", required_argument, NULL, CLIENT_AT },            \
	{ "cacert", required_argument, NULL, CLIENT_CACERT },    \
	{ "cert", required_argument, NULL, CLIENT_CERT },        \
	{ "key", required_argument, NULL, CLIENT_KEY }
/* clang-format on */
#define CLIENT_USAGE                                                                           \
	"  --at PLACE         of thawd: unix:/PATH, HOST:PORT, http://HOST:PORT or\n"          \
	"                     https://HOST:PORT ($THAWD, or unix:/run/thawd/thawd.sock)\n"     \
	"  --cacert FILE      who vouches for thawd's certificate\n"                           \
	"  --cert FILE        our certificate, and\n"                                          \
	"  --key FILE         the key of it\n"
bool client_take(struct client_place *p, int opt, const char *value);

struct client {
	struct curl curl;
	void *handle; /* libcurl's */
	const struct client_place *place;
	const char *at;	      /* as the user wrote it */
	const char *socket;   /* of unix:; NULL: TCP */
	char *base;	      /* what URLs begin with */
	struct sigv4_key key; /* .id NULL: nothing is signed */
};

/*
 * client_open - look for thawd at @place; .at NULL: where $THAWD says, else at the usual place.
 * Nothing is sent.
 *
 * What comes by TCP is signed where $AWS_ACCESS_KEY_ID and $AWS_SECRET_ACCESS_KEY are set, for
 * $AWS_REGION or $AWS_DEFAULT_REGION.
 *
 * client_close is safe afterwards in every case.
 * Errors: -EINVAL .at is no place, or certificates are for one without TLS; -ENOENT no libcurl;
 * -ENOMEM.
 */
int client_open(struct client *c, const struct client_place *place, struct err *err) must_check;
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
 * Returns 0 when what was asked for was done. Errors: -ENOENT, -EACCES, -EEXIST, -EBUSY or
 * -EINVAL, with thawd's own words; -ECONNREFUSED nobody answers, or not to us; -EPROTO no answer of
 * thawd's; -EFBIG; -ENOMEM.
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
