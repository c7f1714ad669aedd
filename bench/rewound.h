/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rewound.h - how many pages a rewind copies, against how many had really changed: before it,
 * all of guest RAM is compared with the template, by the bench and not by what is measured.
 */
#pragma once

#include <stdint.h>

#include "engine/kvm.h"
#include "snapshot/thaw.h"

struct rewound {
	uint64_t events;  /* handled, each by a machine in its template's state */
	uint64_t looked;  /* of these: RAM was compared */
	uint64_t changed; /* pages, over those that were looked at */
	uint64_t copied;  /* pages, over the same rewinds */
};

/*
 * rewound_measure - @events varied events to the sample sql, whose image is in @dir; every
 * @every-th is looked at.
 */
int rewound_measure(struct rewound *r, const struct kvm *kvm, const char *dir,
		    unsigned int events, unsigned int every, struct thaw_err *err);
