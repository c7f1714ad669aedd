/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_counts.h - what KVM counts of a vCPU (KVM_GET_STATS_FD, Linux 5.14), and what follows
 * from it. Where hardware runs ring 0: a guest that made no exit but the one it stopped at has set
 * neither XCR0 nor a debug register, and met no second-stage fault, since each of these is an
 * exit. Where ring 0 is emulated, exits say little, but each of its instructions is counted, and
 * so are exceptions and page faults: if there was none, then the local APIC, debug registers and
 * MSRs were left alone, too.
 * That a host counts so is tried, not believed (findings.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kvm;
struct trial;

enum vcpu_count {
	COUNT_EXITS,
	COUNT_EMULATED, /* instructions */
	COUNT_HYPERCALLS,
	COUNT_EVENTS, /* times that KVM looked for something to inject */
	COUNT_FAULTS, /* page faults of the guest that KVM handled */
	NCOUNTS,
};

/* Where the counts are in the file of any vCPU of this host, bytes. */
struct vcpu_counts_layout {
	uint32_t first, size; /* of the part that has them all; size 0: KVM does not count */
	uint32_t at[NCOUNTS]; /* from @first */
};

struct vcpu_counts {
	int fd; /* 0: not open */
	struct vcpu_counts_layout layout;
	uint64_t was[NCOUNTS]; /* at the last look; 0 before, as when the vCPU was made */
};

/* Leaves @c closed where @layout is empty. @vcpu: its descriptor. */
void vcpu_counts_open(struct vcpu_counts *c, const struct vcpu_counts_layout *layout, int vcpu);
void vcpu_counts_close(struct vcpu_counts *c);

/* Of the time since the last look, or the making of the vCPU. All false when that cannot be told. */
struct vcpu_since {
	bool quiet;	/* KVM did nothing for the guest but stop it at one access to a device,
			   where it stands now, after registers and events were set once */
	bool faultless; /* quiet, and KVM mapped no page for it */
	bool same_cr3;	/* it loaded none, where page tables have shadows and so that is seen */
};
struct vcpu_since vcpu_counts_look(struct vcpu_counts *c, const struct kvm *kvm);

/*
 * Instructions that KVM emulated for the vCPU @vcpu since it was made, where it emulates ring 0. 0:
 * hardware runs it, or KVM does not count. Cost: five system calls.
 */
uint64_t vcpu_counts_emulated(const struct kvm *kvm, int vcpu);

/* Where the counts are, if looks at them tell the truth here; else @layout becomes empty. */
void vcpu_counts_try(struct vcpu_counts_layout *layout, struct trial *t);
