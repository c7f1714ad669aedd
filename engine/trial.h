/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trial.h - a small guest that tries on this host what no capability tells (findings.h). It has
 * four levels of page tables, two pages that hold 'A' and 'B', and a page without memory: the
 * door, a write to which stops it.
 */
#pragma once

#include "engine/vm.h"

/* What the guest does over and over, each time up to the door. */
enum trial_program {
	TRIAL_LOOK,   /* in ring 3: show the door what is at a virtual address */
	TRIAL_INT1,   /* in ring 3: a debug exception, whose handler, in ring 3, shows 'D' */
	TRIAL_DEBUG,  /* in ring 0, as the others: set a debug register */
	TRIAL_XCR,    /* set XCR0 */
	TRIAL_APIC,   /* write to the local APIC */
	TRIAL_WRMSR,  /* set KERNEL_GS_BASE, by its number */
	TRIAL_SWAPGS, /* and by exchanging it */
	TRIAL_PROGRAMS,
};

struct trial {
	struct vm vm;
	char seen; /* what the guest wrote to the door */
};

/* @t: zeroed; must not move. Safe to close after a failure. Errors: what making a VM says. */
int trial_open(struct trial *t, const struct kvm *kvm, struct err *err) must_check;
void trial_close(struct trial *t);

/* From the start of @program. */
int trial_enter(struct trial *t, enum trial_program program, struct err *err) must_check;

/* Run to the door. Errors: -ERR_CRASHED the guest did what KVM cannot do for it. */
int trial_run(struct trial *t, struct err *err) must_check;

/* Make the address that TRIAL_LOOK looks at show page 'A' or 'B', which KVM is not told of. */
void trial_look_at(struct trial *t, char page);
