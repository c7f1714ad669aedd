/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.h - one start of a template: shell, restore, one event, reply, teardown; in this
 * process, or in a child of its own.
 */
#pragma once

#include "engine/err.h"
#include "snapshot/template.h"
#include "snapshot/tier.h"

/* What is the same for every start of one `thaw run`. */
struct start_plan {
	const struct kvm *kvm;
	const struct template *template;
	const struct tier *tier;
	const void *event;
	size_t event_len;
	uint64_t timeout_ms; /* of the answer; 0: none */
};

/* What came of one start. Lies in memory that parent and child share. */
struct start_result {
	int ret; /* 0 or -errno */
	struct err err;
	struct phases phases;
	size_t reply_len; /* the reply itself is in the mailbox, at ABI_WINDOW_REPLY */
	bool crashed;	  /* the guest left a crash record */
	struct abi_crash crash;
};

/*
 * start_here - in the calling process. @mailbox_fd: fresh, from mailbox_memfd.
 * @r->phases.at[PHASE_REQUEST] is the caller's. @quiet: the guest's log goes nowhere.
 */
void start_here(const struct start_plan *plan, int mailbox_fd, bool quiet,
		struct start_result *r);

/*
 * start_in_child - fork, start_here in the child, wait for it. A child that outlives its
 * timeout by a second is killed.
 */
void start_in_child(const struct start_plan *plan, int mailbox_fd, bool quiet,
		    struct start_result *r);
