/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.h - find the working set of a machine by starting it: each record run restores the
 * machine with no page of its memory there, hands it an event and notes which pages it touches
 * until it replies, in order, and which it writes to.
 *
 * Exact to the page, and slow: a thread places every page on its own (some 0.1 ms each). A page
 * is placed write-protected unless the first access to it is a write, so the first write shows.
 * That relies on faults being the vCPU's own, which they are while guests run with interrupts
 * off, as kindling's do; otherwise KVM may let a worker fetch a page, and asks for it writable.
 * What KVM itself writes to guest memory while it sets the state counts, as it does in a start.
 */
#pragma once

#include "engine/clock.h"
#include "engine/kvm.h"
#include "engine/util.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/wset.h"

struct disks;
struct err;

#define RECORD_MAX_RUNS	  100u		      /* of each event; ours */
#define RECORD_MAX_EVENTS 64u		      /* ours */
#define RECORD_TIMEOUT	  (10 * NSEC_PER_SEC) /* ours: to answer one event */

_Static_assert(RECORD_MAX_RUNS *RECORD_MAX_EVENTS <= WSET_MAX_RECORD_RUNS, "all are counted");

struct record_event {
	const void *data;
	size_t len; /* bytes, at most ABI_EVENT_MAX */
};

struct record_plan {
	unsigned int runs; /* of each event, 1 to RECORD_MAX_RUNS */
	unsigned int nevents;
	const struct record_event *events;
	nsec_t timeout; /* to answer one event */
};

/* A machine that waits for an event. Nobody writes to its memory meanwhile. */
struct disks;

struct record_source {
	const struct kvm *kvm;
	const struct shape *shape;
	const struct machine_state *state;
	const struct mem *mem;	   /* the shape's regions, mapped */
	const struct disks *disks; /* of machines' drives; NULL: none */
};

/*
 * record - run every event plan->runs times, each in a machine of its own.
 * @out: for wset_fini; zeroed after an error.
 * Errors: -EPERM, -ENOSYS, -ERR_UNFIT no userfaultfd here that can do this; -ERR_TIMED_OUT,
 * -ERR_CRASHED there was no reply; -ENOMEM; what KVM says.
 */
int record(const struct record_source *src, const struct record_plan *plan, struct wset *out,
	   struct err *err) must_check;
