/* SPDX-License-Identifier: Apache-2.0 */
/* timeline.h - the stamps of starts for people: text, or a trace for chrome://tracing. */
#pragma once

#include "tools/measure/stats.h"
#include "tools/thaw/samples.h"

struct err;

struct timeline {
	const char *tier, *why; /* which tier, and why it was chosen */
	const char *image;
	struct stats emulated; /* instructions of the guest's kernel; .max 0: none */
};

/*
 * timeline_write - @file: NULL: text on stderr; NAME.json: Chrome trace format; else text.
 * Errors: what the file system says.
 */
int timeline_write(const struct timeline *t, const struct samples *s, const char *file,
		   struct err *err);
