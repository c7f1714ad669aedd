/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event.h - the next event, from fd 3, whole and as text: its size is asked for, so that the
 * buffer is only as long as events were. White space at its end is cut off: a payload from a
 * file or a pipe ends in a newline that belongs to nothing.
 */
#pragma once

#include <stddef.h>

struct event {
	char *text; /* followed by a NUL; the event's until the next one is read */
	size_t size, cap;
};

/*
 * event_init - get the buffer that most events fit into; @e is all zero.
 * Called before the first event, so that the image has it already. Returns 0 or -ENOMEM.
 */
int event_init(struct event *e);

/* Wait for an event and read all of it. Returns 0 or -errno. */
int event_read(struct event *e);

void event_fini(struct event *e);
