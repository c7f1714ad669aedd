/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.h - many clones alive at once: a pool of waiting shells, each of which is
 * handed a machine and an event, answers, and then stays until it is asked again. All of it is
 * libthaw's own, as a user would do it, from one thread.
 */
#pragma once

#include <sys/types.h>

#include "engine/clock.h"
#include "snapshot/thaw.h"

struct park {
	struct thaw_pool *pool;
	struct thaw_slot **slots; /* @n of them; NULL: its shell waits */
	unsigned int n;
};

/*
 * park_open - make @n shells, all of them ready. @t: of tier map. park_close ends them, and
 * returns when no process is left; it is safe after an error.
 */
int park_open(struct park *p, struct thaw_zygote *zygote, const struct thaw_template *t,
	      unsigned int n, struct thaw_err *err);
void park_close(struct park *p);

/*
 * park_ask - hand a different event to each of the clones [@from, @to) and wait for all
 * replies, which must be right. The first question starts a clone.
 * @wall: from the first request to the last reply. @salt: events with another one differ.
 */
int park_ask(struct park *p, unsigned int from, unsigned int to, unsigned int salt,
	     nsec_t *wall, struct thaw_err *err);

/* The process of a clone that was asked. */
pid_t park_pid(const struct park *p, unsigned int i);
