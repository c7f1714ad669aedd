/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_quirks.c - the one place that finds out what kind of KVM this is and what it does
 * differently. Everything else asks for a bit of kvm->quirks and never for a kind.
 */
#include <cpuid.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "engine/err.h"
#include "engine/kvm.h"
#include "engine/vcpu_msrs.h"
#include "engine/vm.h"
#include "engine/x86.h"

const struct kvm_quirk_text kvm_quirk_texts[] = {
	{ QUIRK_SLOW_RING0, "slow-ring0",
	  "guest ring 0 is emulated, about 0.6 us an instruction; ring 3 is native" },
	{ QUIRK_SYSCALL_RING3, "syscall-ring3", "SYSCALL from guest ring 3 stays in ring 3" },
	{ QUIRK_TSC_FIXED, "tsc-fixed", "the guest's TSC is the host's and cannot be set" },
	{ QUIRK_CPUID_HOST, "cpuid-host",
	  "CPUID in guest ring 3 shows the host's CPU, whatever KVM was told" },
	{ QUIRK_ASSIST, "assist",
	  "int3 and fwait in guest ring 0 are left to us, and some instructions to nobody" },
	{ 0, NULL, NULL },
};

static bool host_cpu_has(uint32_t leaf, uint32_t ecx_bit)
{
	uint32_t a, b, c, d;

	return __get_cpuid(leaf, &a, &b, &c, &d) && (c >> ecx_bit & 1);
}

/* The module says it; where sysfs is not mounted or KVM is built in, the CPU does. */
static enum kvm_kind find_kind(void)
{
	if (access("/sys/module/kvm_pvm", F_OK) == 0)
		return KVM_KIND_PVM;
	if (access("/sys/module/kvm_intel", F_OK) == 0)
		return KVM_KIND_VMX;
	if (access("/sys/module/kvm_amd", F_OK) == 0)
		return KVM_KIND_SVM;
	if (host_cpu_has(1, 5)) /* SDM vol. 2A, CPUID.1:ECX.VMX */
		return KVM_KIND_VMX;
	if (host_cpu_has(0x80000001u, 2)) /* APM vol. 3, Fn8000_0001_ECX.SVM */
		return KVM_KIND_SVM;
	return KVM_KIND_UNKNOWN;
}

/* Is the guest's TSC the host's, and does writing it not change it? Half an hour ahead is far
 * from any rounding. */
static bool tsc_is_fixed(int vcpu, uint32_t khz)
{
	uint64_t ahead = (uint64_t)khz * 1000 * 1800;
	uint64_t from = __rdtsc();
	uint64_t before, after;

	if (!vcpu_msr_get(vcpu, MSR_IA32_TSC, &before) || before < from || before > __rdtsc())
		return false;
	return !vcpu_msr_set(vcpu, MSR_IA32_TSC, before + ahead) ||
	       !vcpu_msr_get(vcpu, MSR_IA32_TSC, &after) || after - before < ahead / 2;
}

static int read_born(struct kvm *kvm, int vcpu, struct err *err)
{
	int ret =
		vcpu_cpuid_load(vcpu, &kvm->cpuid, err); /* the APIC's version depends on it */

	if (ret < 0)
		return ret;
	if (ioctl(vcpu, KVM_GET_DEBUGREGS, &kvm->born.debugregs) < 0)
		return err_sys(err, "KVM_GET_DEBUGREGS");
	if (ioctl(vcpu, KVM_GET_LAPIC, &kvm->born.lapic) < 0)
		return err_sys(err, "KVM_GET_LAPIC");
	return 0;
}

int kvm_quirks_probe(struct kvm *kvm, struct err *err)
{
	auto_close int vm = kvm_create_vm(kvm, err);
	auto_close int vcpu = -1;
	int khz, ret;

	if (vm < 0)
		return vm;
	ret = vm_enable_split_irqchip(vm, err);
	if (ret < 0)
		return ret;
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		return err_sys(err, "KVM_CREATE_VCPU");
	ret = read_born(kvm, vcpu, err);
	if (ret < 0)
		return ret;
	kvm->nmsrs = vcpu_msrs_known(vcpu, kvm->msrs, kvm->born.msrs, kvm->nmsrs);
	khz = ioctl(vcpu, KVM_GET_TSC_KHZ, 0);
	if (khz <= 0)
		return err_set(err, ERR_NO_KVM, "KVM_GET_TSC_KHZ: no stable TSC on this host");
	kvm->tsc_khz = (uint32_t)khz;
	kvm->kind = find_kind();
	if (kvm->kind == KVM_KIND_PVM)
		kvm->quirks |= QUIRK_SLOW_RING0 | QUIRK_SYSCALL_RING3 | QUIRK_CPUID_HOST |
			       QUIRK_ASSIST;
	if (tsc_is_fixed(vcpu, kvm->tsc_khz))
		kvm->quirks |= QUIRK_TSC_FIXED;
	return 0;
}
