/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_state.h - one vCPU's KVM state, as plain data, and the order in which it is moved.
 */
#pragma once

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/cpuid.h"
#include "engine/kvm.h"
#include "engine/state.h"
#include "engine/util.h"

struct err;

/* The TSC as KVM had it when the vCPU was saved. */
struct vcpu_tsc {
	uint32_t khz;
	uint32_t reserved;
	uint64_t value;	   /* IA32_TSC */
	uint64_t deadline; /* IA32_TSC_DEADLINE; 0: not armed, or KVM has none */
};

/* The APIC page, flattened: KVM's own struct is an array of plain char. */
struct vcpu_lapic {
	uint8_t regs[KVM_APIC_REG_SIZE];
};

/*
 * MSRs, laid out as KVM's struct kvm_msrs, in the order in which they are set: IA32_TSC first,
 * so that it can be read back. IA32_TSC_DEADLINE is in the list with the value 0, which disarms
 * the timer; its real value is set on its own, once it is known what became of the TSC.
 */
struct vcpu_msrs {
	uint32_t n;
	uint32_t reserved;
	struct kvm_msr_entry entries[KVM_MSRS_MAX];
};
_Static_assert(offsetof(struct vcpu_msrs, entries) == offsetof(struct kvm_msrs, entries),
	       "struct vcpu_msrs is a struct kvm_msrs with room");

struct vcpu_state {
	struct kvm_mp_state mp_state;
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	struct kvm_debugregs debugregs;
	struct vcpu_lapic lapic;
	struct kvm_vcpu_events events;
	struct vcpu_tsc tsc;
	struct vcpu_msrs msrs;
	struct cpuid cpuid;
	uint32_t nxsave; /* 8-byte words of @xsave in use */
	uint64_t xsave[KVM_XSAVE_MAX / 8];
};

/* One section of the file: where its bytes lie in struct vcpu_state. */
struct vcpu_section {
	const struct state_desc *desc;
	uint32_t off;	    /* bytes from the start of struct vcpu_state */
	uint32_t count_off; /* arrays: offset of the uint32_t that counts elements; else 0 */
};

extern const struct vcpu_section vcpu_sections[];
extern const uint32_t vcpu_nsections;

/*
 * vcpu_state_save - copy a stopped vCPU's state out of KVM.
 * @fd: vCPU descriptor; the calling thread owns it, KVM_RUN is not running, and the last exit
 *      has been completed (vcpu_complete): a pending exit is not part of what KVM hands out.
 * Returns 0 or -errno; @err names the part and the direction.
 */
int vcpu_state_save(const struct kvm *kvm, int fd, struct vcpu_state *s,
		    struct err *err) must_check;

/* The guest's TSC as KVM tells it, and clock_monotonic() at the same moment. */
struct vcpu_tsc_now {
	uint64_t guest;
	nsec_t host_ns;
};
int vcpu_tsc_read(int fd, struct vcpu_tsc_now *now, struct err *err) must_check;

/*
 * vcpu_state_orders_check - does each of the two orders move every part exactly once? Called by
 * the tests. Errors: -EINVAL and which order does not.
 */
int vcpu_state_orders_check(struct err *err) must_check;

/*
 * vcpu_state_load - the reverse, into a vCPU that has s->cpuid already (vm_create). What the
 * MSRs do to guest memory (kvmclock) happens here, so memory is attached before.
 * @now: the TSC after the load.
 * Errors: as above; -ERR_UNFIT when KVM refuses an MSR, which is named.
 */
int vcpu_state_load(const struct kvm *kvm, int fd, const struct vcpu_state *s,
		    struct vcpu_tsc_now *now, struct err *err) must_check;

/*
 * vcpu_state_load_new - the same for a vCPU that nothing was set in since it was made, nor run:
 * what it was made with is not set. Without general registers and events, which struct kvm_run
 * takes. For vcpu_reset.h.
 */
int vcpu_state_load_new(const struct kvm *kvm, int fd, const struct vcpu_state *s,
			struct vcpu_tsc_now *now, struct err *err) must_check;

/*
 * vcpu_state_load_hidden - only the parts that struct kvm_run does not show: XCR0, XSAVE, debug
 * registers, local APIC, MSRs and TSC. @quiet: it had @s and was quiet since (vcpu_counts.h), so
 * some of these are as they were. For vcpu_reset.h.
 */
int vcpu_state_load_hidden(const struct kvm *kvm, int fd, bool quiet,
			   const struct vcpu_state *s, struct vcpu_tsc_now *now,
			   struct err *err) must_check;
