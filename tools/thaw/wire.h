/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - what goes over the socket of `thaw run --listen`: messages of a header and up to
 * THAW_EVENT_MAX bytes, little-endian. A request is answered by one reply; then there may be the
 * next request. docs/listen.md describes it.
 */
#pragma once

#include <stdint.h>

#include "tools/thaw/blob.h"

struct err;

enum wire_kind {
	WIRE_EVENT = 1,	   /* bytes: the event; of the reply: the guest's reply */
	WIRE_SNAPSHOT = 2, /* bytes: absolute path of the layer; of the reply: JSON */
};

enum { WIRE_NO_SYNC = 1u << 0 }; /* of a snapshot: do not wait until it is on the disk */

struct wire_header {
	uint32_t len;  /* bytes that follow */
	uint16_t kind; /* of a request: enum wire_kind; of a reply: an exit code of thaw(1), 0:
			  fine, else the bytes are a sentence */
	uint16_t flags;
};

_Static_assert(sizeof(struct wire_header) == 8, "as documented");

/* Ours: how long a peer may take to read what it was sent. */
#define WIRE_PATIENCE_MS 10000

/*
 * wire_listen - a socket at @path that only this user may connect to. What a server that died
 * left there is replaced. Returns a non-blocking descriptor.
 * Errors: -EADDRINUSE somebody listens there; -EEXIST it is no socket; -ENAMETOOLONG.
 */
int wire_listen(const char *path, struct err *err) must_check;

/* Errors: what connect says; -ENAMETOOLONG. */
int wire_connect(const char *path, struct err *err) must_check;

/* Send all of a message. Errors: -ETIMEDOUT the peer does not read; what send says. */
int wire_send(int fd, const struct wire_header *h, const void *data,
	      struct err *err) must_check;

/*
 * wire_call - send a request and wait for the reply.
 * Returns the reply's kind, an exit code, with its bytes in @reply.
 * Errors: -ECONNRESET the server went away; -EPROTO it says what it may not.
 */
int wire_call(int fd, const struct wire_header *h, const void *data, struct blob *reply,
	      struct err *err) must_check;
