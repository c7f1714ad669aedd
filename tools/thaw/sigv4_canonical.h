/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4_canonical.h - for sigv4_sign.h: the canonical request of a signature, of which only the SHA-256
 * is ever needed. Source: AWS General Reference, "Create a signed AWS API request".
 */
#pragma once

#include "snapshot/digest.h"
#include "tools/thaw/sigv4_claim.h"

#define SIGV4_MAX_PAIRS 64u /* ours: of the query; they are sorted */

struct sigv4_request {
	const char *method;
	const struct uri *uri;
	/* Calls back for each header, until that returns false. */
	void (*headers)(const void *source,
			bool (*each)(void *data, const char *name, const char *value),
			void *data);
	const void *source;
	const char *payload; /* what stands for it: its SHA-256 in hex, or a word */
};

/* Errors: -EINVAL too much in the query, or escaped badly, or a signed header that is not there;
 * -ENOMEM. */
int sigv4_canonical(struct digest *out, const struct sigv4_request *r,
		    const struct sigv4_claim *c, struct err *err) must_check;
