/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/cpuid_linux.h"

/* Leaves and bits: SDM vol. 2A, CPUID; APM vol. 3, appendix E. */
#define LEAF_MAX	  0u
#define LEAF_FEATURES	  1u
#define LEAF_CACHES	  4u
#define LEAF_TOPOLOGY	  0xbu
#define LEAF_V2_TOPOLOGY  0x1fu
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_POWER	  0x80000007u
#define LEAF_AMD_SIZES	  0x80000008u
#define LEAF_AMD_CACHES	  0x8000001du
#define LEAF_AMD_NODES	  0x8000001eu

#define FEATURES_ECX_CX16	(1u << 13)
#define FEATURES_ECX_PCID	(1u << 17)
#define FEATURES_EDX_MCE	(1u << 7)
#define FEATURES_EDX_MCA	(1u << 14)
#define FEATURES_EDX_HTT	(1u << 28)
#define POWER_EDX_INVARIANT_TSC (1u << 8)

/* Source: Linux, Documentation/virt/kvm/x86/cpuid.rst */
#define LEAF_KVM_FEATURES    0x40000001u
#define KVM_ASYNC_PF	     (1u << 4)
#define KVM_STEAL_TIME	     (1u << 5)
#define KVM_PV_UNHALT	     (1u << 7)
#define KVM_PV_TLB_FLUSH     (1u << 9)
#define KVM_ASYNC_PF_VMEXIT  (1u << 10)
#define KVM_PV_SEND_IPI	     (1u << 11)
#define KVM_PV_SCHED_YIELD   (1u << 13)
#define KVM_ASYNC_PF_INT     (1u << 14)
#define KVM_HC_MAP_GPA_RANGE (1u << 16)

/* KVM tells of the host's cores and threads; the guest has one of each. */
static void be_alone(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case LEAF_FEATURES:
		e->ebx = (e->ebx & 0xff00ffffu) | 1u << 16; /* logical processors */
		e->edx &= ~FEATURES_EDX_HTT;
		break;
	case LEAF_CACHES:
	case LEAF_AMD_CACHES:
		e->eax &= 0x3fffu; /* who shares the cache, and cores of the package */
		break;
	case LEAF_TOPOLOGY:
	case LEAF_V2_TOPOLOGY:
		e->eax = e->ebx = 0; /* no level; EDX stays the APIC id */
		e->ecx = 0;
		break;
	case LEAF_AMD_SIZES:
		e->ecx = 0; /* cores of the package */
		break;
	case LEAF_AMD_NODES:
		e->ebx = e->ecx = 0;
		break;
	default:
		break;
	}
}

/* Machine-check banks are no part of a machine's state: a write to one is #GP (msr_filter.h), about
 * which Linux complains at boot. */
static void hide_machine_checks(struct kvm_cpuid_entry2 *e)
{
	if (e->function == LEAF_FEATURES || e->function == LEAF_AMD_FEATURES)
		e->edx &= ~(FEATURES_EDX_MCE | FEATURES_EDX_MCA);
}

/*
 * Where ring 0 is emulated, it has no cmpxchg16b, its hypercalls do not return, and what writes
 * guest memory behind its back is trouble. Without leaf 7 there is no SMAP, whose instructions do
 * not work either, nor a reason to clear memory with `rep stosb`, at 0.6 us a byte; KVM puts single
 * bits of it back.
 */
static void mask_emulated(struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case LEAF_MAX:
		e->eax = LEAF_FEATURES;
		break;
	case LEAF_FEATURES:
		e->ecx &= ~(FEATURES_ECX_CX16 | FEATURES_ECX_PCID);
		break;
	case LEAF_KVM_FEATURES:
		e->eax &= ~(KVM_ASYNC_PF | KVM_ASYNC_PF_VMEXIT | KVM_ASYNC_PF_INT |
			    KVM_STEAL_TIME | KVM_PV_UNHALT | KVM_PV_TLB_FLUSH |
			    KVM_PV_SEND_IPI | KVM_PV_SCHED_YIELD | KVM_HC_MAP_GPA_RANGE);
		break;
	default:
		break;
	}
}

/* A clock that Linux would believe in across a restore, where the TSC is another one afterwards. */
static void hide_invariant_tsc(struct kvm_cpuid_entry2 *e)
{
	if (e->function == LEAF_POWER)
		e->edx &= ~POWER_EDX_INVARIANT_TSC;
}

void cpuid_for_linux(const struct kvm *kvm, struct cpuid *to)
{
	*to = kvm->cpuid;
	for (uint32_t i = 0; i < to->n; i++) {
		be_alone(&to->entries[i]);
		hide_machine_checks(&to->entries[i]);
		if (kvm->quirks & QUIRK_SLOW_RING0)
			mask_emulated(&to->entries[i]);
		if (kvm->quirks & QUIRK_TSC_FIXED)
			hide_invariant_tsc(&to->entries[i]);
	}
}

const char *linux_cmdline_quirks(const struct kvm *kvm)
{
	/* Instructions that ring 0 lacks; the TSC, which is stable, is not measured; rodata=off: no
	 * walk over all page tables. thaw.noavx is for guest/linux's init: a kernel without
	 * XSAVE does not keep AVX registers of two processes apart. */
	if (kvm->quirks & QUIRK_SLOW_RING0)
		return "clearcpuid=popcnt,xsave rodata=off tsc=reliable thaw.noavx";
	return "";
}
