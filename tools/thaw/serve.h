/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serve.h - one clone that stays, and answers the events that come over a socket (wire.h), one
 * after the other; snapshots of it are written beside that, each by a thread of its own.
 */
#pragma once

#include "engine/util.h"
#include "snapshot/thaw.h"

struct serve_plan {
	const struct thaw_template *template;
	const char *socket;
	unsigned int timeout_ms; /* of an answer; 0: none */
};

/*
 * serve - until SIGINT or SIGTERM, which is success.
 * Errors: the clone's end: who asked was told the same; no socket to be had.
 */
int serve(const struct serve_plan *plan, struct thaw_err *err) must_check;
