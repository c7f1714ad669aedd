/* SPDX-License-Identifier: Apache-2.0 */
/*
 * machine.h - one machine: a VM, its mailbox, and what can be asked of it. Made as a shell,
 * filled by machine_boot() or restore() (restore.h), then invoked as often as wanted.
 * A machine belongs to the thread that runs it.
 */
#pragma once

#include "devices/mailbox.h"
#include "devices/types.h"
#include "engine/boot.h"
#include "engine/boot_linux.h"
#include "engine/vm.h"

struct disks;
struct err;
struct pager;
struct template;
struct tier;

/* What is baked into a VM before it holds a machine. */
struct shape {
	struct mem mem; /* gpa and size of each region */
	uint32_t nvcpus;
	uint32_t tsc_khz;
	uint32_t xsave_size; /* bytes */
	uint64_t xcr0;
	const struct cpuid *cpuid; /* of every vCPU; not owned */
	struct device_list devices;
};

struct machine {
	struct vm vm;
	struct mailbox *mailbox;   /* one of vm's devices */
	uint32_t tsc_khz;	   /* the guest's */
	struct pager *pager;	   /* of guest memory that comes later; NULL: it is all there */
	const struct disks *disks; /* of its drives; not owned; NULL: it has none */
	const struct tier *prepared; /* the shell was made ready for it; NULL: for none */
};

/*
 * machine_create - make a shell of @shape.
 * @mailbox_fd: memory for the mailbox (mailbox_memfd), stays the caller's, and open while the
 *              machine lives.
 * On failure nothing is left behind. @m must not move afterwards.
 */
int machine_create(struct machine *m, const struct kvm *kvm, const struct shape *shape,
		   int mailbox_fd, struct err *err) must_check;

/* The same over the memory of @t, which is filled: nothing is left for a tier that maps it. */
int machine_create_mapped(struct machine *m, const struct kvm *kvm, const struct template *t,
			  int mailbox_fd, struct err *err) must_check;
void machine_destroy(struct machine *m);

/* Give its disks their drives, before it boots or its state is loaded. @disks: outlives it.
 * Errors: as disks_attach. */
int machine_attach(struct machine *m, const struct disks *disks, struct err *err) must_check;

/*
 * machine_finish - have all of guest memory in: before the machine is saved, rewound, or paused
 * to go on later. Nothing to do in most tiers. Errors: as pager_check.
 */
int machine_finish(struct machine *m, struct err *err) must_check;

/*
 * machine_renew - before the first instruction after a restore or rewind: let the guest know that
 * it is another one, and what time it is. @now: its TSC. Errors: as mailbox_renew.
 */
int machine_renew(struct machine *m, const struct vcpu_tsc_now *now,
		  struct err *err) must_check;

/* What the guest sends on its serial port, if it has one, goes where its mailbox's log goes, as
 * standard output. */
void machine_log_serial(struct machine *m);

/* Put a kindling machine in, cold. It runs with machine_wait() or machine_run(). */
int machine_boot(struct machine *m, const struct boot_config *cfg, struct err *err) must_check;

/* The same for Linux, with firmware's tables of its devices; .rsdp is filled in. */
int machine_boot_linux(struct machine *m, const struct linux_boot *boot,
		       struct err *err) must_check;

/*
 * machine_run - run until the guest stops at its mailbox.
 * @deadline: clock_monotonic() value, 0: none.
 * Returns an enum mailbox_stop, never MAILBOX_NONE.
 * Errors: -ERR_TIMED_OUT; -ERR_CRASHED the guest shut down, or KVM cannot go on with it, or the
 * guest ended its machine (m->vm.end says how); -EINTR vcpu_kick(); what pager_check says: for good.
 */
int machine_run(struct machine *m, nsec_t deadline, struct err *err) must_check;

/*
 * machine_wait - run until the guest waits for an event.
 * Errors: as machine_run, and -ERR_CRASHED with a sentence when it crashed or exited instead.
 */
int machine_wait(struct machine *m, nsec_t deadline, struct err *err) must_check;

/* The sentence for a machine that stopped with MAILBOX_EXIT or MAILBOX_CRASH. Returns
 * -ERR_CRASHED. */
int machine_ended(const struct machine *m, struct err *err);

/*
 * machine_invoke - hand one event to a guest that waits for it, and run to its reply.
 * Errors: as machine_wait; -EMSGSIZE; -EBUSY the guest does not wait: its last event timed out,
 * or it is at its end.
 * @reply: valid until the machine runs again. @phases: may be NULL; gets the two stamps
 * "first instruction" and "first response".
 */
struct invocation {
	const void *event; /* NULL: in the mailbox's window already */
	size_t len;	   /* bytes, at most ABI_EVENT_MAX */
	nsec_t deadline;   /* 0: none */
};
int machine_invoke(struct machine *m, const struct invocation *inv, struct mailbox_reply *reply,
		   struct phases *phases, struct err *err) must_check;
