/* SPDX-License-Identifier: Apache-2.0 */
/* warm.h - a sample program in a warm slot of its own. */
#pragma once

#include "bench/bench.h"
#include "tools/measure/slot.h"

struct warm {
	struct subject subject;
	struct slot slot;
};

/*
 * warm_open - @event and @reply: of every start; both live as long as @w. warm_close is safe
 * after an error.
 */
int warm_open(struct warm *w, const struct bench *b, const char *program, const char *event,
	      const char *reply, struct thaw_err *err);
void warm_close(struct warm *w);
