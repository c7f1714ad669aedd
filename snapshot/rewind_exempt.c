/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/rewind_exempt.h"

#include <asm/kvm_para.h>
#include <string.h>

#include "devices/board.h"
#include "devices/ioapic.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/x86.h"
#include "snapshot/machine_state.h"

/* Source: Linux, Documentation/virt/kvm/x86/msr.rst */
#define SYSTEM_TIME_SIZE 32u
#define WALL_CLOCK_SIZE	 12u

#define APIC_STEP 16u /* bytes from one register of the local APIC to the next */

static void add(struct exempt_memory *e, gpa_t gpa, uint64_t size)
{
	e->ranges[e->n++] = (struct exempt_range){ gpa, size };
}

/* KVM writes there when the MSR is set, and before the guest runs. */
static void add_msr(struct exempt_memory *e, const struct kvm_msr_entry *msr)
{
	switch (msr->index) {
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		add(e, msr->data & ~(uint64_t)KVM_MSR_ENABLED, SYSTEM_TIME_SIZE);
		break;
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		add(e, msr->data, WALL_CLOCK_SIZE);
		break;
	default:
		break;
	}
}

void rewind_exempt_memory(struct exempt_memory *e, const struct vm *vm,
			  const struct machine_state *want)
{
	e->n = 0;
	if (vm_device(vm, &vmgenid_type))
		add(e, BOARD_VMGENID_GPA, VMGENID_SIZE);
	if (vm_device(vm, &vmclock_type))
		add(e, BOARD_VMCLOCK_GPA, MEM_PAGE_SIZE);
	for (uint32_t i = 0; i < want->nvcpus; i++) {
		const struct vcpu_msrs *msrs = &want->vcpus[i].msrs;

		for (uint32_t k = 0; k < msrs->n && e->n < EXEMPT_MAX_RANGES; k++)
			add_msr(e, &msrs->entries[k]);
	}
}

bool rewind_is_exempt(const struct exempt_memory *e, gpa_t gpa)
{
	for (uint32_t i = 0; i < e->n; i++) {
		if (gpa - e->ranges[i].gpa < e->ranges[i].size)
			return true;
	}
	return false;
}

static bool msr_runs(uint32_t index)
{
	return index == MSR_IA32_TSC || index == MSR_IA32_TSC_DEADLINE ||
	       index == MSR_HV_VP_RUNTIME || index == MSR_HV_TIME_REF_COUNT;
}

/*
 * KVM for SVM keeps the lower half of what it is given, and hands out what the guest wrote. The
 * guest cannot tell but by reading: in long mode an AMD CPU has no SYSENTER (APM vol. 3).
 */
static bool msr_is_cut(uint32_t index, uint64_t is, uint64_t want)
{
	return (index == MSR_SYSENTER_ESP || index == MSR_SYSENTER_EIP) && is == (uint32_t)want;
}

/* The interrupt by which the guest hears of its new generation waits in the local APIC. */
static void exempt_event(struct vcpu_state *is, const struct vcpu_state *want,
			 const struct vm *vm)
{
	uint8_t vector = ioapic_vector(vm, BOARD_GED_GSI);
	uint32_t at = APIC_IRR + vector / 32 * APIC_STEP + vector % 32 / 8;
	uint8_t bit = (uint8_t)(1u << vector % 8);

	if (vector != 0)
		is->lapic.regs[at] =
			(uint8_t)((is->lapic.regs[at] & ~bit) | (want->lapic.regs[at] & bit));
}

/* XSTATE_BV tells which components the CPU believes to be in their initial state, and KVM hands out
 * the same bytes for them either way. */
void rewind_exempt_state(struct vcpu_state *is, const struct vcpu_state *want,
			 const struct vm *vm)
{
	is->tsc.value = want->tsc.value;
	is->tsc.deadline = want->tsc.deadline;
	memcpy(is->lapic.regs + APIC_CURRENT_COUNT, want->lapic.regs + APIC_CURRENT_COUNT,
	       sizeof(uint32_t));
	exempt_event(is, want, vm);
	is->xsave[XSAVE_BV_WORD] = want->xsave[XSAVE_BV_WORD];
	for (uint32_t i = 0; i < MIN(is->msrs.n, want->msrs.n); i++) {
		struct kvm_msr_entry *msr = &is->msrs.entries[i];
		uint64_t data = want->msrs.entries[i].data;

		if (msr_runs(msr->index) || msr_is_cut(msr->index, msr->data, data))
			msr->data = data;
	}
}
