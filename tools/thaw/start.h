/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.h - one start of a template: clone, one event, reply, teardown; in this process, or in
 * a child of its own.
 */
#pragma once

#include <stdbool.h>

#include "engine/clock.h"
#include "snapshot/thaw.h"

#define START_MAX_COUNTERS 256u /* more than the devices of a machine have; ours */

/* What is the same for every start of one `thaw run`. */
struct start_plan {
	const struct thaw_template *template;
	const void *event;
	size_t event_len;
	unsigned int timeout_ms; /* of the answer; 0: none */
	bool verify;		 /* each rewind */
	bool count; /* what was emulated, and by devices; before the teardown, which takes longer by that */
};

/* What came of one start. Lies in memory that parent and child share. */
struct start_result {
	int ret; /* 0 or -errno */
	struct thaw_err err;
	struct phases phases; /* PHASE_REQUEST is the caller's */
	uint64_t
		emulated; /* instructions of its kernel, until the reply; 0: none, or not counted */
	size_t ncounters; /* of its devices; 0: not counted */
	struct thaw_counter counters[START_MAX_COUNTERS];
	char crash[1024]; /* registers of a program that died, as text; else empty */
	size_t reply_len;
	uint8_t reply[THAW_EVENT_MAX];
};

/* start_here - in the calling process. @quiet: what the guest prints goes nowhere. */
void start_here(const struct start_plan *plan, bool quiet, struct start_result *r);

/*
 * start_warm - on a clone that stays: made by the first call, rewound after each reply. The
 * request is when it was asked for the event. @clone: NULL before the first call; the caller
 * closes it.
 */
void start_warm(const struct start_plan *plan, struct thaw_clone **clone,
		struct start_result *r);

/*
 * start_in_shell - by a shell of @pool that waits. The pool is filled before, when it is empty:
 * not part of the start. The request is when the shell was asked for.
 */
void start_in_shell(const struct start_plan *plan, struct thaw_pool *pool, bool quiet,
		    struct start_result *r);

/*
 * start_in_child - fork, start_here in the child, wait for it. A child that outlives its
 * timeout by ten seconds is killed.
 */
void start_in_child(const struct start_plan *plan, bool quiet, struct start_result *r);
