/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/functions/reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/abi.h"

#define FIRST_CAPACITY ((size_t)128 * 1024) /* ours: a reply up to here never allocates */

static bool reply_grow(struct reply *r, size_t need)
{
	size_t cap = r->cap ? r->cap : FIRST_CAPACITY;
	char *data;

	while (cap < need)
		cap *= 2;
	data = realloc(r->data, cap);
	if (!data)
		return false;
	r->data = data;
	r->cap = cap;
	return true;
}

int reply_init(struct reply *r)
{
	return reply_grow(r, FIRST_CAPACITY) ? 0 : -ENOMEM;
}

void reply_fini(struct reply *r)
{
	free(r->data);
}

void reply_begin(struct reply *r)
{
	r->len = r->sent = 0;
	r->closing = false;
	r->fault = NULL;
}

void reply_add(struct reply *r, const void *bytes, size_t size)
{
	size_t used = r->sent + r->len;
	size_t limit = r->closing ? ABI_REPLY_MAX : ABI_REPLY_MAX - REPLY_RESERVE;

	if (r->fault)
		return;
	if (used > limit || size > limit - used) {
		r->fault = "the reply would be longer than 6 MiB";
		return;
	}
	if (r->len + size > r->cap && !reply_grow(r, r->len + size)) {
		r->fault = "out of memory for the reply";
		return;
	}
	memcpy(r->data + r->len, bytes, size);
	r->len += size;
}

void reply_cut(struct reply *r, size_t len)
{
	r->len = len;
	r->fault = NULL;
}

int reply_flush(struct reply *r)
{
	if (r->len && write(4, r->data, r->len) != (ssize_t)r->len)
		return errno ? -errno : -EIO;
	r->sent += r->len;
	r->len = 0;
	return 0;
}
