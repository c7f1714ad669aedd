/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure.h - how short of memory this host is, as the kernel tells by pressure stall information
 * (Documentation/accounting/psi.rst): some tasks waited for memory, or all of them did.
 */
#pragma once

#include <stdbool.h>

#include "engine/loop.h"
#include "tools/thawd/policy.h"

struct err;

struct pressure {
	struct loop *loop;
	struct loop_watch some, full; /* descriptors -1: this kernel does not tell */
	nsec_t tight_until, critical_until;
	enum policy_pressure told;
	nsec_t tell_at; /* again, while it is not calm */
};

/* Where the kernel does not tell, or does not let us ask, all is calm. Errors: what loop_add says. */
int pressure_open(struct pressure *p, struct loop *loop, struct err *err) must_check;
void pressure_close(struct pressure *p);

/* What it is now, if whoever acts on it has to be told: it is another one, or lasts. */
bool pressure_changed(struct pressure *p, enum policy_pressure *pressure);

/* When to ask again though nothing was heard; 0: no need. */
nsec_t pressure_deadline(const struct pressure *p);
