/* SPDX-License-Identifier: Apache-2.0 */
/*
 * usual.h - the peer "fresh VM as most VMMs make it": in-kernel irqchip and PIT first, memory
 * slots and vCPU after. Everything else is ours: the same template, the same lazy private
 * mapping, the same state and the same guest, to the same response and the same teardown.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "tools/measure/origin.h"
#include "snapshot/machine.h"
#include "snapshot/thaw.h"

struct usual {
	const struct kvm *kvm;
	struct origin origin;
	struct machine machine;
	/* Set after usual_open. */
	const void *event;
	size_t event_len;
	unsigned int timeout_ms; /* of each reply; 0: none */
	bool echoes;		 /* a reply has to be the event */
};

/* @dir: an image. usual_close is safe after an error. */
int usual_open(struct usual *u, const struct kvm *kvm, const char *dir, struct thaw_err *err);
void usual_close(struct usual *u);

/* One sample: microseconds from nothing to the VM gone, response between. @arg: struct usual. */
int usual_sample(void *arg, double *us, struct thaw_err *err);
