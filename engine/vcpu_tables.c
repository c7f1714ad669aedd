/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vcpu_tables.c - KVM's own structs, member by member, and which section holds which.
 * Layouts: <asm/kvm.h>, part of the kernel's stable ABI.
 */
#include "engine/vcpu_state.h"

#include <stddef.h>

/* clang-format off */
#define U(T, m) STATE_FIELD(struct T, m)

static const struct state_field mp_state_fields[] = { U(kvm_mp_state, mp_state) };

static const struct state_field regs_fields[] = {
	U(kvm_regs, rax), U(kvm_regs, rbx), U(kvm_regs, rcx), U(kvm_regs, rdx),
	U(kvm_regs, rsi), U(kvm_regs, rdi), U(kvm_regs, rsp), U(kvm_regs, rbp),
	U(kvm_regs, r8),  U(kvm_regs, r9),  U(kvm_regs, r10), U(kvm_regs, r11),
	U(kvm_regs, r12), U(kvm_regs, r13), U(kvm_regs, r14), U(kvm_regs, r15),
	U(kvm_regs, rip), U(kvm_regs, rflags),
};

static const struct state_field segment_fields[] = {
	U(kvm_segment, base), U(kvm_segment, limit), U(kvm_segment, selector),
	U(kvm_segment, type), U(kvm_segment, present), U(kvm_segment, dpl), U(kvm_segment, db),
	U(kvm_segment, s), U(kvm_segment, l), U(kvm_segment, g), U(kvm_segment, avl),
	U(kvm_segment, unusable), U(kvm_segment, padding),
};
static const struct state_desc segment_desc =
	STATE_DESC("segment", 1, struct kvm_segment, segment_fields);

static const struct state_field dtable_fields[] = {
	U(kvm_dtable, base), U(kvm_dtable, limit), STATE_ARRAY(struct kvm_dtable, padding),
};
static const struct state_desc dtable_desc =
	STATE_DESC("dtable", 1, struct kvm_dtable, dtable_fields);

#define SEGMENT(m) STATE_NESTED(struct kvm_sregs, m, &segment_desc)
#define DTABLE(m)  STATE_NESTED(struct kvm_sregs, m, &dtable_desc)
static const struct state_field sregs_fields[] = {
	SEGMENT(cs), SEGMENT(ds), SEGMENT(es), SEGMENT(fs), SEGMENT(gs), SEGMENT(ss),
	SEGMENT(tr), SEGMENT(ldt), DTABLE(gdt), DTABLE(idt),
	U(kvm_sregs, cr0), U(kvm_sregs, cr2), U(kvm_sregs, cr3), U(kvm_sregs, cr4),
	U(kvm_sregs, cr8), U(kvm_sregs, efer), U(kvm_sregs, apic_base),
	STATE_ARRAY(struct kvm_sregs, interrupt_bitmap),
};

static const struct state_field xcr_fields[] = {
	U(kvm_xcr, xcr), U(kvm_xcr, reserved), U(kvm_xcr, value),
};
static const struct state_desc xcr_desc = STATE_DESC("xcr", 1, struct kvm_xcr, xcr_fields);
static const struct state_field xcrs_fields[] = {
	STATE_FIELD_MAX(struct kvm_xcrs, nr_xcrs, KVM_MAX_XCRS), U(kvm_xcrs, flags),
	STATE_NESTED(struct kvm_xcrs, xcrs, &xcr_desc), STATE_ARRAY(struct kvm_xcrs, padding),
};

static const struct state_field debugregs_fields[] = {
	STATE_ARRAY(struct kvm_debugregs, db), U(kvm_debugregs, dr6), U(kvm_debugregs, dr7),
	U(kvm_debugregs, flags), STATE_ARRAY(struct kvm_debugregs, reserved),
};

static const struct state_field lapic_fields[] = { STATE_ARRAY8(struct vcpu_lapic, regs) };

static const struct state_field events_fields[] = {
	U(kvm_vcpu_events, exception.injected), U(kvm_vcpu_events, exception.nr),
	U(kvm_vcpu_events, exception.has_error_code), U(kvm_vcpu_events, exception.pending),
	U(kvm_vcpu_events, exception.error_code),
	U(kvm_vcpu_events, interrupt.injected), U(kvm_vcpu_events, interrupt.nr),
	U(kvm_vcpu_events, interrupt.soft), U(kvm_vcpu_events, interrupt.shadow),
	U(kvm_vcpu_events, nmi.injected), U(kvm_vcpu_events, nmi.pending),
	U(kvm_vcpu_events, nmi.masked), U(kvm_vcpu_events, nmi.pad),
	U(kvm_vcpu_events, sipi_vector), U(kvm_vcpu_events, flags),
	U(kvm_vcpu_events, smi.smm), U(kvm_vcpu_events, smi.pending),
	U(kvm_vcpu_events, smi.smm_inside_nmi), U(kvm_vcpu_events, smi.latched_init),
	U(kvm_vcpu_events, triple_fault.pending), STATE_ARRAY8(struct kvm_vcpu_events, reserved),
	U(kvm_vcpu_events, exception_has_payload), U(kvm_vcpu_events, exception_payload),
};

static const struct state_field tsc_fields[] = {
	U(vcpu_tsc, khz), U(vcpu_tsc, reserved), U(vcpu_tsc, value),
	U(vcpu_tsc, deadline),
};

/* XSAVE is a list of 8-byte words: its size is what KVM says, and differs between hosts. */
struct xsave_word { uint64_t word; };
static const struct state_field xsave_fields[] = { U(xsave_word, word) };

static const struct state_field msr_fields[] = {
	U(kvm_msr_entry, index), U(kvm_msr_entry, reserved), U(kvm_msr_entry, data),
};

static const struct state_desc mp_state_desc =
	STATE_DESC("vcpu.mp_state", 1, struct kvm_mp_state, mp_state_fields);
static const struct state_desc regs_desc =
	STATE_DESC("vcpu.regs", 1, struct kvm_regs, regs_fields);
static const struct state_desc sregs_desc =
	STATE_DESC("vcpu.sregs", 1, struct kvm_sregs, sregs_fields);
static const struct state_desc xcrs_desc =
	STATE_DESC("vcpu.xcrs", 1, struct kvm_xcrs, xcrs_fields);
static const struct state_desc debugregs_desc =
	STATE_DESC("vcpu.debugregs", 1, struct kvm_debugregs, debugregs_fields);
static const struct state_desc lapic_desc =
	STATE_DESC("vcpu.lapic", 1, struct vcpu_lapic, lapic_fields);
static const struct state_desc events_desc =
	STATE_DESC("vcpu.events", 1, struct kvm_vcpu_events, events_fields);
static const struct state_desc tsc_desc =
	STATE_DESC("vcpu.tsc", 1, struct vcpu_tsc, tsc_fields);
static const struct state_desc xsave_desc =
	STATE_DESC_ARRAY("vcpu.xsave", 1, struct xsave_word, xsave_fields, KVM_XSAVE_MAX / 8);
static const struct state_desc msrs_desc =
	STATE_DESC_ARRAY("vcpu.msrs", 1, struct kvm_msr_entry, msr_fields, KVM_MSRS_MAX);

#define ONE(d, m)	{ &(d), offsetof(struct vcpu_state, m), 0 }
#define ARRAY(d, m, n)	{ &(d), offsetof(struct vcpu_state, m), offsetof(struct vcpu_state, n) }

const struct vcpu_section vcpu_sections[] = {
	ONE(mp_state_desc, mp_state),
	ONE(regs_desc, regs),
	ONE(sregs_desc, sregs),
	ONE(xcrs_desc, xcrs),
	ONE(debugregs_desc, debugregs),
	ONE(lapic_desc, lapic),
	ONE(events_desc, events),
	ONE(tsc_desc, tsc),
	ARRAY(xsave_desc, xsave, nxsave),
	ARRAY(msrs_desc, msrs.entries, msrs.n),
	ARRAY(cpuid_entry_desc, cpuid.entries, cpuid.n),
};
/* clang-format on */

const uint32_t vcpu_nsections = ARRAY_SIZE(vcpu_sections);
