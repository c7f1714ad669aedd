/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4.h - who may ask, by AWS Signature Version 4: requests that are signed with a key of ours,
 * in their headers or presigned in their query, at most SIGV4_SKEW_S old.
 *
 * Signed must be: Host, all x-amz-* headers, path, query and body. UNSIGNED-PAYLOAD is believed only
 * inside TLS, where nobody on the way can change a body. Any region is as good as another.
 *
 * A signature is taken as often as it comes within its time, as AWS does: two equal requests of one
 * second have the same one, so a client that invokes a function twice could not be told from an
 * enemy who repeats it. Against those who can listen, use TLS.
 */
#pragma once

#include <stdbool.h>

#include "tools/thawd/http.h"

struct err;
struct sigv4_keys;

#define SIGV4_SKEW_S 300u /* AWS's; of clocks, and on the way */

/*
 * sigv4_keys_read - a file of lines "ACCESS_KEY_ID SECRET"; "#" begins a comment.
 * Errors: -EPERM others may read it; -EINVAL a line of another form, or no key at all.
 */
int sigv4_keys_read(struct sigv4_keys **out, const char *path, struct err *err) must_check;
void sigv4_keys_free(struct sigv4_keys *keys); /* NULL is allowed */

struct sigv4 {
	const struct sigv4_keys *keys;
	const char *service; /* that requests must be signed for: "lambda" */
	bool is_tls;
	uint64_t (*seconds)(void); /* since 1970-01-01 UTC; NULL: the clock */
};

/* @s stays in place. */
struct http_guard sigv4_guard(struct sigv4 *s);
