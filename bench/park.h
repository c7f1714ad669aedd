/* SPDX-License-Identifier: Apache-2.0 */
/*
 * park.h - many clones alive at once: processes that wait as shells of the right shape, are
 * woken with an event each, restore, answer, and then stay until they are asked again.
 *
 * One process per machine, as in production. What parent and children tell each other is in
 * shared memory, and a futex wakes either side.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "snapshot/template.h"
#include "snapshot/thaw.h"

#define PARK_TEXT 48u /* bytes of an event and of its reply */

/* One clone; in shared memory. */
struct park_slot {
	uint32_t asked; /* futex: how often it was asked; top bit: look at your memory */
	int ret;
	char event[PARK_TEXT], reply[PARK_TEXT];
	uint64_t ram_uss;     /* bytes: private part of the mapping of guest RAM */
	uint64_t ram_changed; /* bytes: pages that differ from the template */
	struct err err;
};

struct park {
	const struct kvm *kvm;
	const struct template *template; /* tier map; filled */
	unsigned int n, cap;
	uint32_t *done;		 /* futex: answers of all clones so far; shared */
	struct park_slot *slots; /* shared */
	pid_t *pids;
};

/* Room for @cap clones; none is made yet. park_close ends and reaps all of them. */
int park_open(struct park *p, const struct kvm *kvm, const struct template *t, unsigned int cap,
	      struct err *err);
void park_close(struct park *p);

/* Make shells until there are @n, all of them ready. Errors: also what a child says. */
int park_grow(struct park *p, unsigned int n, struct err *err);

/*
 * park_ask - hand a different event to each of the clones [@from, @to) and wait for all
 * replies, which must be right. The first question makes a shell restore its machine.
 * @wall: from the first request to the last reply. @salt: events with another one differ.
 */
int park_ask(struct park *p, unsigned int from, unsigned int to, unsigned int salt,
	     nsec_t *wall, struct err *err);

/*
 * park_dirtied - bytes of guest RAM in pages that one start writes to, as KVM's dirty log has
 * it: a clone in this process answers under it. It says nothing of what is private.
 */
int park_dirtied(const struct kvm *kvm, const struct template *t, uint64_t *bytes,
		 struct err *err);

/* Have the clone @i measure its guest RAM: ram_uss, ram_changed. */
int park_measure(struct park *p, unsigned int i, struct err *err);
