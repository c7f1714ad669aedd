/* SPDX-License-Identifier: Apache-2.0 */
/*
 * flush.h - translations that KVM keeps of guest page tables, and how to make it forget them
 * after the host has put other bytes there. KVM sees what the guest writes to a table, not what
 * the host does: with shadow paging, and in the TLBs of hardware, the old entry stays in use.
 */
#pragma once

#include <linux/kvm.h>

#include "engine/util.h"

struct err;
struct trial;
struct vm;

enum flush_way {
	/* flush_vcpu is enough. So it is where hardware walks the tables (EPT, NPT). */
	FLUSH_BY_VCPU,
	/* Shadow page tables stay as they are then: take all of RAM's memory slots away and put
	 * them back. */
	FLUSH_BY_SLOT,
};

/*
 * flush_try - the cheapest way that works on this host: a guest looks through a page-table entry
 * that the host swaps behind its back. Errors: -ERR_NO_KVM no way works; what KVM says.
 */
int flush_try(struct trial *t, enum flush_way *way, struct err *err) must_check;

/*
 * flush_vcpu - make KVM forget what a vCPU's TLB holds: of all address spaces, global entries
 * too. @sregs: what the vCPU has, and has afterwards; KVM throws its view of the guest's paging
 * away when CR4.PGE goes over, and with the next one flushes. No vCPU runs.
 * Errors: what KVM_SET_SREGS says.
 */
int flush_vcpu(int fd, const struct kvm_sregs *sregs, struct err *err) must_check;

/*
 * flush_slots - FLUSH_BY_SLOT: 0.2 ms, and all of memory is mapped anew as it is touched. No
 * vCPU runs. Errors: what KVM_SET_USER_MEMORY_REGION says: the VM is of no use then.
 */
int flush_slots(struct vm *vm, struct err *err) must_check;
