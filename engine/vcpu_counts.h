/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_counts.h - what KVM counts of a vCPU (KVM_GET_STATS_FD, Linux 5.14), and what follows
 * from it: a guest that made no exit but the one it stopped at has set neither XCR0 nor a debug
 * register, since each of these is an exit. Where guest ring 0 is emulated, exits say little, but
 * each of its instructions is counted as such: then XCR0 and the local APIC were left alone.
 * That a host counts so is tried, not believed (findings.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct kvm;
struct trial;

enum vcpu_count { COUNT_EXITS, COUNT_EMULATED, COUNT_HYPERCALLS, NCOUNTS };

struct vcpu_counts {
	int fd;		       /* 0: not open, or KVM does not count */
	uint64_t at[NCOUNTS];  /* offsets in the file, bytes */
	uint64_t was[NCOUNTS]; /* at the last look */
};

/* Leaves @c closed where KVM lacks one of them. @vcpu: its descriptor. */
void vcpu_counts_open(struct vcpu_counts *c, int vcpu);
void vcpu_counts_close(struct vcpu_counts *c);

/* Since the last look, did KVM do nothing for the guest but stop it at one access to a device,
 * where it stands now? False when that cannot be told. */
bool vcpu_counts_quiet(struct vcpu_counts *c, const struct kvm *kvm);

/* Does vcpu_counts_quiet() tell the truth here? */
bool vcpu_counts_try(struct trial *t);
