/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4_sign.h - AWS Signature Version 4: the signature of a canonical request (sigv4_canonical.h),
 * for who checks one and for who makes one. Source: AWS General Reference, "Create a signed AWS API
 * request".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"
#include "tools/thaw/sigv4_canonical.h"

struct err;

/* The signature of @canonical for what @c says, but for its own. False: no memory, or @secret is
 * longer than AWS's may be. */
bool sigv4_signature(struct digest *out, const struct sigv4_claim *c, const char *secret,
		     const struct digest *canonical) must_check;

struct sigv4_key {
	const char *id, *secret;
	const char *region, *service;
};

struct sigv4_what {
	const char *method;
	const char *target; /* as it is sent: "/PATH?QUERY", encoded */
	const char *host;   /* as it is sent: the value of Host */
	const char *const
		*headers; /* others, "Name: value" each, NULL at the end; NULL: none */
	const void *body;
	size_t len;
	uint64_t seconds; /* since 1970-01-01 UTC: now */
};

#define SIGV4_LINE_SIZE 2048u /* ours: of a header that is made here */

/* Headers that are to be sent besides. */
struct sigv4_lines {
	char date[sizeof("X-Amz-Date: YYYYMMDDTHHMMSSZ")];
	char authorization[SIGV4_LINE_SIZE];
};

/*
 * sigv4_sign - sign @what, with all of its headers.
 * Errors: -EINVAL a key, a region or a target that cannot be; -E2BIG too many headers; -ENOMEM.
 */
int sigv4_sign(struct sigv4_lines *out, const struct sigv4_what *what,
	       const struct sigv4_key *key, struct err *err) must_check;
