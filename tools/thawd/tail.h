/* SPDX-License-Identifier: Apache-2.0 */
/* tail.h - the last bytes of what was written. */
#pragma once

#include <stddef.h>
#include <string.h>

#define TAIL_SIZE 4096u /* as much of a log as a client is shown: Lambda's */

struct tail {
	size_t len;
	char text[2 * TAIL_SIZE]; /* halved when it is full, so that most writes are a copy */
};

static inline void tail_add(struct tail *t, const char *text, size_t len)
{
	if (len > TAIL_SIZE) {
		text += len - TAIL_SIZE;
		len = TAIL_SIZE;
	}
	if (t->len + len > sizeof(t->text)) {
		memmove(t->text, t->text + t->len - TAIL_SIZE, TAIL_SIZE);
		t->len = TAIL_SIZE;
	}
	memcpy(t->text + t->len, text, len);
	t->len += len;
}
