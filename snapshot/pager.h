/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pager.h - guest memory that comes while the guest runs. One thread per machine, which owns the
 * userfaultfd: it pushes the frames that will be wanted, in the order of the plan, and serves
 * the page that a vCPU (or a device, or KVM on its own account) waits for first, with everything
 * in the 64 KiB around it.
 *
 * What no frame holds is zero; nothing else ever is while pager_check says nothing. So the memory stays
 * registered for as long as a stored page is missing. A pager that cannot go on (a read error, a
 * damaged frame) first says so: from then on pager_check says why, and whatever the machine did is not
 * believed. Then the vCPU is kicked, and everybody who waits for a page gets zeros.
 *
 * The pager waits for nobody: it takes no lock, and touches guest memory through the
 * userfaultfd only. So whoever waits for it may hold what he likes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct mem;
struct pager;
struct plan;
struct vcpu;

struct pager_config {
	unsigned int blocks;	 /* enum plan_block: what is served */
	const struct plan *plan; /* outlives the pager, as its image does */
	const struct mem *mem;	 /* the machine's; anonymous */
	struct vcpu *vcpu;	 /* to be kicked */
	uint64_t from;		 /* frames before this position of the list are the caller's:
				  * their pages are there already, whatever is in them now */
	uint64_t push;		 /* frames before this one are pushed unasked */
};

/*
 * pager_start - serve the frames from @cfg->from on.
 * Errors: -EPERM, -ENOSYS userfaultfd is refused or missing (uffd_open); -ENOMEM, -EAGAIN.
 */
int pager_start(struct pager **pager, const struct pager_config *cfg,
		struct err *err) must_check;

/*
 * pager_finish - wait until all stored pages are in. The thread is gone afterwards, and the
 * memory like any other. @p: may be NULL. Errors: as pager_check.
 */
int pager_finish(struct pager *p, struct err *err) must_check;

/* 0, or why it could not go on: -ERR_DAMAGED, -EIO and what pread says. NULL is fine. */
int pager_check(const struct pager *p, struct err *err) must_check;

/* Is something missing still? Not NULL only. */
bool pager_is_busy(const struct pager *p);

/*
 * pager_stop - end the thread, whatever is missing, and free @p (or NULL). No vCPU may run
 * afterwards, and vCPUs must still exist: one of KVM's own threads may wait for a page.
 */
void pager_stop(struct pager *p);

struct pager_stats {
	uint64_t faults;     /* read from the descriptor */
	uint64_t served;     /* frames placed because somebody waited */
	uint64_t pushed;     /* frames placed before */
	uint64_t zero_pages; /* placed */
	uint64_t read_bytes; /* of memory.lz4, the table not counted */
};
/* After pager_finish, or before pager_stop while nothing happens: numbers may be a bit old. */
struct pager_stats pager_stats(const struct pager *p);

/*
 * For tests: the pager ends itself, as if a read had failed, when it has placed so many frames.
 * 0, as it is by default: never. Set before the first pager starts.
 */
extern uint64_t pager_fault_point;
