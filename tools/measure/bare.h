/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bare.h - the floor: one KVM_RUN round trip. A VM like ours holds nothing but a loop in ring 3
 * that stores to the mailbox's doorbell page, which has no memory behind it: the same exit,
 * from the same ring, as a reply that is handed over.
 */
#pragma once

#include "snapshot/machine.h"
#include "snapshot/thaw.h"

struct bare {
	int mailbox_fd;
	struct machine machine; /* only its VM and vCPU are used */
};

/* bare_close is safe after an error. */
int bare_open(struct bare *b, const struct kvm *kvm, struct thaw_err *err);

/* The same, but it is ring 0 that stores, after so many other instructions as a kernel has them: what
 * each of them costs where KVM emulates ring 0. */
#define BARE_RING0_INSTRUCTIONS 1402u
int bare_open_ring0(struct bare *b, const struct kvm *kvm, struct thaw_err *err);
void bare_close(struct bare *b);

/* One sample: microseconds of one KVM_RUN. @arg: struct bare. */
int bare_sample(void *arg, double *us, struct thaw_err *err);
