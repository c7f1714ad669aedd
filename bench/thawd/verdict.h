/* SPDX-License-Identifier: Apache-2.0 */
/* verdict.h - is a reply the right one for its request? */
#pragma once

#include <stddef.h>

#include "bench/thawd/client.h"

#define VERDICT_NAME_SIZE 64u

enum verdict {
	VERDICT_RIGHT,
	VERDICT_ERROR, /* one of the forms that Lambda's errors have */
	VERDICT_WRONG, /* anything else */
};

/*
 * @expected: the bytes of the right one
 * @name: gets the error's, of VERDICT_NAME_SIZE bytes
 */
enum verdict verdict_of(const struct client_reply *r, const void *expected, size_t len,
			char *name);
