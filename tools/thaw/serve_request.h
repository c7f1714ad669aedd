/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve_request.h - for serve.c: what clients ask of a machine that stays, and the answers. An
 * event is handled at once; a snapshot is begun at once, and written and answered by a thread.
 */
#pragma once

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "engine/err.h"
#include "snapshot/thaw.h"
#include "tools/thaw/serve.h"
#include "tools/thaw/wire.h"

#define SERVE_MAX_WRITERS 4u /* ours: bounds the memory for copies of changed pages */

enum serve_writer_state { SERVE_WRITER_FREE, SERVE_WRITER_BUSY, SERVE_WRITER_DONE };

/* A thread that writes one snapshot and answers who asked for it. */
struct serve_writer {
	atomic_int state;
	pthread_t thread;
	int fd; /* of the client */
	struct thaw_snapshot *snapshot;
	bool sync;
	char *dir;
};

/* The machine that all requests are made to. Zeroed but for plan, clone, ending and err. */
struct serve_machine {
	const struct serve_plan *plan;
	struct thaw_clone *clone;
	sigset_t ending; /* the signals that end us; blocked but while an event is handled */
	struct serve_writer writers[SERVE_MAX_WRITERS];
	int ret; /* negative: how the clone ended */
	struct thaw_err *err;
};

struct serve_request {
	int fd; /* of the client, which stays the caller's */
	struct wire_header header;
	const uint8_t *data; /* header.len bytes */
};

/* Do it, and answer. False: the caller is done with this client. */
bool serve_request(struct serve_machine *m, const struct serve_request *r);

/* The sentence of a request that came to nothing. Returns whether the client could be told. */
bool serve_refuse(int fd, int ret, const struct err *err);

/* Wait for the snapshots that are being written. */
void serve_join(struct serve_machine *m);
