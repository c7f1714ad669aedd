/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply.h - a reply on its way to fd 4, which takes at most ABI_REPLY_MAX bytes per event.
 *
 * Text is collected here and leaves in pieces, so that a long reply needs little memory. What
 * was not flushed yet can be taken back: a writer adds one whole record, and cuts it off again
 * when it did not fit. The last REPLY_RESERVE bytes are kept for closing words.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define REPLY_RESERVE 4096u /* ours: holds the longest error line of sql_json.c */

struct reply {
	char *data;
	size_t len, cap;
	size_t sent;	   /* bytes of this reply that fd 4 has taken already */
	bool closing;	   /* may the reserve be used? set by the writer */
	const char *fault; /* why text is missing since the last cut, or NULL */
};

/*
 * reply_init - get the buffer that most replies fit into; @r is all zero.
 * Called before the first event, so that a machine short of memory can still reply why.
 * Returns 0 or -ENOMEM.
 */
int reply_init(struct reply *r);

void reply_fini(struct reply *r);

/* Start the reply to a new event; keeps the buffer. */
void reply_begin(struct reply *r);

/* Add @size bytes; where that is not possible nothing is added and r->fault says why. */
void reply_add(struct reply *r, const void *bytes, size_t size);

/* Take back everything after the first @len bytes that are not flushed; forget the fault. */
void reply_cut(struct reply *r, size_t len);

/* Hand what is collected to fd 4. Returns 0, or -errno of the write. */
int reply_flush(struct reply *r);
