/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4_claim.h - what a request says of its signature, in the header Authorization or, presigned,
 * in the query: taken apart, of right form, and not yet believed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"
#include "tools/thaw/uri.h"

struct err;

#define SIGV4_ALGORITHM	    "AWS4-HMAC-SHA256"
#define SIGV4_TERMINATOR    "aws4_request"
#define SIGV4_MAX_HEADERS   64u	    /* ours: each is looked up among all headers */
#define SIGV4_MAX_EXPIRES_S 604800u /* a week; AWS's */

struct sigv4_claim {
	char key_id[129]; /* AWS has up to 128 characters */
	char day[9];	  /* YYYYMMDD */
	char region[33];
	char service[33];
	char date[17];		   /* YYYYMMDDTHHMMSSZ */
	char signed_headers[1025]; /* "a;b;c", small letters, in order */
	uint8_t signature[32];
	bool is_presigned;
	uint32_t expires_s; /* presigned: after date */
};

/* @date: header X-Amz-Date; NULL: there is none. Errors: -EINVAL, with a sentence for the client. */
int sigv4_claim_header(struct sigv4_claim *c, const char *authorization, const char *date,
		       struct err *err) must_check;

/* Errors: the same. */
int sigv4_claim_query(struct sigv4_claim *c, const struct uri *uri, struct err *err) must_check;

/* Whether the query has a signature, of right form or not. */
bool sigv4_is_presigned(const struct uri *uri);

/* Whether @name, in any case, is among the signed headers. */
bool sigv4_claim_signs(const struct sigv4_claim *c, const char *name);

/* Seconds since 1970-01-01 UTC of "YYYYMMDDTHHMMSSZ", or 0: it is none. */
uint64_t sigv4_seconds(const char *date);
