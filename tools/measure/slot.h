/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h - a warm slot: a clone that has run once and is rewound to its template's state after
 * every event, so that each start is a pristine machine. Same process and thread throughout.
 */
#pragma once

#include "snapshot/thaw.h"
#include "tools/measure/series.h"

struct slot {
	struct thaw_clone *clone;
	const void *event;
	size_t event_len;
	unsigned int timeout_ms; /* of each reply; 0: none */
	const char *reply;	 /* what it has to be; NULL: not compared */
	struct series *rewind;	 /* gets the microseconds of each rewind; NULL: not kept */
};

/* @t: of tier warm or map. Event and timeout are set; the slot then has run once and is
 * rewound. slot_close is safe after an error. */
int slot_open(struct slot *s, const struct thaw_template *t, struct thaw_err *err);
void slot_close(struct slot *s);

/* From the event to the reply, without the rewind. Errors: also -EIO a wrong reply. */
int slot_invoke(struct slot *s, double *us, struct thaw_err *err);

/* One sample: the first part is timed, then the slot is rewound. @arg: struct slot. */
int slot_sample(void *arg, double *us, struct thaw_err *err);
/* The same without the rewind: a machine that has already run. */
int slot_used_sample(void *arg, double *us, struct thaw_err *err);
