/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.h - every ioctl that a piece of code makes, with its times, seen from inside.
 *
 * The program is linked with -Wl,--wrap=ioctl, so that each call of libthaw's comes by here.
 * Recording costs two readings of the clock a call, outside of what is counted for it.
 */
#pragma once

#include <stdint.h>

#include "engine/clock.h"

#define CALLS_MAX 128u /* ours: a restore makes about 30 */

struct calls {
	unsigned int n; /* may be more than CALLS_MAX: the rest was not kept */
	struct {
		nsec_t from, to;
	} all[CALLS_MAX];
};

/* Record the calling thread's ioctls from here on into @c, which is emptied; NULL: stop. */
void calls_record(struct calls *c);

/* Time spent inside them up to the moment @end. */
nsec_t calls_sum(const struct calls *c, nsec_t end);
