/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_msrs.h - the parts of a vCPU's state that KVM moves as lists: MSRs (with the TSC and its
 * deadline timer, which have a policy) and CPUID. Used by vcpu_state.c.
 */
#pragma once

#include <stdbool.h>

#include "engine/vcpu_state.h"

/* One MSR. False: KVM has no such MSR, or refuses to hand it out or to set it. */
bool vcpu_msr_get(int fd, uint32_t index, uint64_t *value);
bool vcpu_msr_set(int fd, uint32_t index, uint64_t value);

/* Every MSR that KVM lists and hands out; those that it lists and refuses are left out. Writes
 * s->msrs, s->tsc.value and s->tsc.deadline. */
int vcpu_msrs_save(const struct kvm *kvm, int fd, struct vcpu_state *s,
		   struct err *err) must_check;

/* Leave in the list only the MSRs that KVM hands out, and write their values. Returns how many. */
uint32_t vcpu_msrs_known(int fd, uint32_t *indices, uint64_t *values, uint32_t n);

/* Does the state hold every MSR that KVM here hands out? One of an older KVM may not. */
bool vcpu_msrs_hold_all(const struct kvm *kvm, const struct vcpu_msrs *msrs);

/* Does the guest use kvmclock? */
bool vcpu_msrs_have_kvmclock(const struct vcpu_msrs *msrs);

/* Does each of them stay as it is while the guest executes neither WRMSR nor SWAPGS? So do those
 * that are as in a new vCPU, where no clock and no counter runs, and some that only hold what a
 * guest put there. The TSC and its deadline are not looked at. */
bool vcpu_msrs_rest(const struct kvm *kvm, const struct vcpu_msrs *msrs);

/*
 * Set them all, TSC first and an armed TSC_DEADLINE last, which keeps its distance from now. KVM
 * stops at the first one that it refuses: one that has the wanted value already is fine, any
 * other is -ERR_UNFIT by name.
 */
int vcpu_msrs_load(const struct kvm *kvm, int fd, const struct vcpu_state *s,
		   struct vcpu_tsc_now *now, struct err *err) must_check;

/* The TSC after a load, or where there was nothing to load. */
int vcpu_tsc_after(const struct kvm *kvm, int fd, struct vcpu_tsc_now *now,
		   struct err *err) must_check;

/* The local APIC's timer, in TSC-deadline mode, has so many ticks of the TSC to go from now on. */
int vcpu_timer_restart(const struct kvm *kvm, int fd, uint64_t ticks,
		       struct err *err) must_check;

int vcpu_cpuid_save(int fd, struct cpuid *cpuid, struct err *err) must_check;
int vcpu_cpuid_load(int fd, const struct cpuid *cpuid, struct err *err) must_check;
