/* SPDX-License-Identifier: Apache-2.0 */
/* dirtied.h - what one start writes to, as KVM has it: it says nothing of what is private. */
#pragma once

#include <stdint.h>

#include "snapshot/thaw.h"

struct kvm;

/* Bytes of guest RAM. */
struct dirtied {
	uint64_t written; /* in pages of KVM's dirty log */
	uint64_t changed; /* in pages that differ from the template */
};

/* A clone of the image in @dir, in this process and of tier map, answers @event under the log. */
int dirtied_measure(struct dirtied *d, const struct kvm *kvm, const char *dir,
		    const char *event, struct thaw_err *err);
