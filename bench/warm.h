/* SPDX-License-Identifier: Apache-2.0 */
/*
 * warm.h - a warm slot: a clone that has run once and is rewound to its template's state after
 * every event, so that each start is a pristine machine. Same process and thread throughout.
 */
#pragma once

#include "bench/bench.h"

struct warm {
	struct subject subject;
	struct thaw_clone *clone;
	struct series *rewind; /* microseconds of each rewind; NULL: not kept */
	const char *event;
	const char *reply; /* what it has to be; NULL: not compared */
};

/* The sample @program in a slot that has run once and was rewound. warm_close is safe after an
 * error. */
int warm_open(struct warm *w, const struct bench *b, const char *program, struct thaw_err *err);
void warm_close(struct warm *w);

/* From the event to the reply, without the rewind. Errors: also -EIO a wrong reply. */
int warm_invoke(struct warm *w, double *us, struct thaw_err *err);
/* Bring the slot back to its template's state; the slot can be used again. */
int warm_rewind(struct warm *w, struct thaw_err *err);

/* One sample: warm_invoke, then warm_rewind, of which only the first is timed. @arg: struct
 * warm. */
int warm_sample(void *arg, double *us, struct thaw_err *err);
