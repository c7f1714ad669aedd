/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn.h - the peer "a process per event": posix_spawn of a static binary that reads the event
 * from a pipe, writes the reply to another and ends; waited for. Nothing of it is pooled.
 */
#pragma once

#include "snapshot/thaw.h"

struct spawn {
	char program[256];
	int event[2], reply[2]; /* pipes, made once: they are not what is compared */
};

/* @guest: folder of bench/answer. spawn_close is safe after an error. */
int spawn_open(struct spawn *s, const char *guest, struct thaw_err *err);
void spawn_close(struct spawn *s);

/* One sample, microseconds from writing the event to the reply read and the process gone.
 * @arg: struct spawn. */
int spawn_sample(void *arg, double *us, struct thaw_err *err);
