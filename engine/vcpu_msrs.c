/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vcpu_msrs.h"

#include <asm/kvm_para.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#define LOG "vcpu"
#include "engine/clock.h"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/x86.h"

/* KVM takes fewer than 256 in one call (MAX_IO_MSRS); a longer list goes one by one. */
#define MSRS_BULK 255u

/* Centuries from any TSC that a machine has reached. */
#define TSC_FAR (UINT64_C(1) << 60)

/* A struct kvm_msrs with room for one. */
struct one_msr {
	uint32_t n;
	uint32_t reserved;
	struct kvm_msr_entry entry;
};

bool vcpu_msr_get(int fd, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .n = 1, .entry.index = index };

	if (ioctl(fd, KVM_GET_MSRS, &m) != 1)
		return false;
	*value = m.entry.data;
	return true;
}

bool vcpu_msr_set(int fd, uint32_t index, uint64_t value)
{
	struct one_msr m = { .n = 1, .entry = { .index = index, .data = value } };

	return ioctl(fd, KVM_SET_MSRS, &m) == 1;
}

static int msr_set(int fd, uint32_t index, uint64_t value, struct err *err)
{
	uint64_t have;

	if (vcpu_msr_set(fd, index, value))
		return 0;
	/* Refused: that is fine if the vCPU has that value anyway. */
	if (vcpu_msr_get(fd, index, &have) && have == value) {
		log_debug("MSR 0x%x is read-only here and already 0x%" PRIx64, index, have);
		return 0;
	}
	return err_set(err, ERR_UNFIT, "KVM_SET_MSRS: KVM here refuses MSR 0x%x = 0x%" PRIx64,
		       index, value);
}

/* KVM's list in the order of struct vcpu_msrs. */
static void list_msrs(const struct kvm *kvm, struct vcpu_msrs *msrs)
{
	msrs->entries[msrs->n++].index = MSR_IA32_TSC;
	for (uint32_t i = 0; i < kvm->nmsrs; i++) {
		if (kvm->msrs[i] != MSR_IA32_TSC)
			msrs->entries[msrs->n++].index = kvm->msrs[i];
	}
}

static void take_deadline(struct vcpu_state *s)
{
	for (uint32_t i = 0; i < s->msrs.n; i++) {
		if (s->msrs.entries[i].index == MSR_IA32_TSC_DEADLINE) {
			s->tsc.deadline = s->msrs.entries[i].data;
			s->msrs.entries[i].data = 0;
		}
	}
}

int vcpu_msrs_save(const struct kvm *kvm, int fd, struct vcpu_state *s, struct err *err)
{
	struct vcpu_msrs *msrs = &s->msrs;
	uint32_t kept;
	int n;

	list_msrs(kvm, msrs);
	n = msrs->n <= MSRS_BULK ? ioctl(fd, KVM_GET_MSRS, msrs) : 0;
	if (n < 0)
		return err_sys(err, "KVM_GET_MSRS");
	/* KVM stops at the first one that it lists but does not hand out. */
	kept = (uint32_t)n;
	for (uint32_t i = kept; i < msrs->n; i++) {
		uint64_t value;

		if (!vcpu_msr_get(fd, msrs->entries[i].index, &value))
			continue;
		msrs->entries[kept].index = msrs->entries[i].index;
		msrs->entries[kept++].data = value;
	}
	msrs->n = kept;
	if (msrs->n == 0 || msrs->entries[0].index != MSR_IA32_TSC)
		return err_set(err, ERR_NO_KVM, "KVM_GET_MSRS: KVM does not hand out IA32_TSC");
	s->tsc.value = msrs->entries[0].data;
	take_deadline(s);
	return 0;
}

/*
 * An armed timer has the same time to go from now on, whatever became of the TSC: it may have
 * been set, or be the host's, or KVM took the new value for an attempt to synchronise.
 */
static int deadline_load(int fd, const struct vcpu_tsc *tsc, uint64_t now, struct err *err)
{
	uint64_t left = tsc->deadline > tsc->value ? tsc->deadline - tsc->value : 0;

	return msr_set(fd, MSR_IA32_TSC_DEADLINE, now + left, err);
}

/* The kernel only reads the list, so it goes out of a const state as it is. */
static int msrs_set(int fd, const struct vcpu_msrs *msrs, struct err *err)
{
	int n = msrs->n <= MSRS_BULK ? ioctl(fd, KVM_SET_MSRS, msrs) : 0;
	int ret = 0;

	if (n < 0)
		return err_sys(err, "KVM_SET_MSRS");
	for (uint32_t i = (uint32_t)n; i < msrs->n && ret == 0; i++)
		ret = msr_set(fd, msrs->entries[i].index, msrs->entries[i].data, err);
	return ret;
}

/* The entry of MSR @index; NULL: there is none. @at: where to look first, and then the one after
 * it: lists are in KVM's order, but for one. */
static const struct kvm_msr_entry *find_msr(const struct vcpu_msrs *msrs, uint32_t index,
					    uint32_t *at)
{
	for (uint32_t i = 0; i < msrs->n; i++) {
		uint32_t k = (*at + i) % msrs->n;

		if (msrs->entries[k].index == index) {
			*at = k + 1;
			return &msrs->entries[k];
		}
	}
	return NULL;
}

bool vcpu_msrs_hold_all(const struct kvm *kvm, const struct vcpu_msrs *msrs)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < kvm->nmsrs; i++) {
		if (!find_msr(msrs, kvm->msrs[i], &at))
			return false;
	}
	return true;
}

/* Does a value other than a new vCPU's stay, or mean nothing? */
static bool only_holds(uint32_t index)
{
	static const uint32_t
		holding[] = {
			MSR_IA32_TSC,
			MSR_SYSENTER_CS,
			MSR_SYSENTER_ESP,
			MSR_SYSENTER_EIP,
			MSR_IA32_PAT,
			MSR_IA32_MISC_ENABLE,
			MSR_STAR,
			MSR_LSTAR,
			MSR_CSTAR,
			MSR_SYSCALL_MASK,
			MSR_KERNEL_GS_BASE,
			MSR_TSC_AUX,
			MSR_HV_VP_RUNTIME,
			MSR_HV_TIME_REF_COUNT, /* the host's clocks: nobody sets them */
		};

	for (size_t i = 0; i < ARRAY_SIZE(holding); i++) {
		if (holding[i] == index)
			return true;
	}
	return false;
}

bool vcpu_msrs_rest(const struct kvm *kvm, const struct vcpu_msrs *msrs)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < kvm->nmsrs; i++) {
		const struct kvm_msr_entry *e = find_msr(msrs, kvm->msrs[i], &at);

		if (!e || (e->data != kvm->born.msrs[i] && !only_holds(e->index)))
			return false;
	}
	return true;
}

uint32_t vcpu_msrs_known(int fd, uint32_t *indices, uint64_t *values, uint32_t n)
{
	struct { /* a struct kvm_msrs with room */
		uint32_t n;
		uint32_t reserved;
		struct kvm_msr_entry entries[MSRS_BULK];
	} msrs = { 0 };
	uint32_t kept = 0;

	for (uint32_t at = 0; at < n;) {
		int got;

		msrs.n = MIN(n - at, MSRS_BULK);
		for (uint32_t i = 0; i < msrs.n; i++)
			msrs.entries[i].index = indices[at + i];
		/* It stops at the first one that KVM does not hand out. */
		got = MAX(ioctl(fd, KVM_GET_MSRS, &msrs), 0);
		memmove(indices + kept, indices + at, (size_t)got * sizeof(*indices));
		for (int i = 0; i < got; i++)
			values[kept + (uint32_t)i] = msrs.entries[i].data;
		kept += (uint32_t)got;
		at += (uint32_t)got + ((uint32_t)got < msrs.n);
	}
	return kept;
}

bool vcpu_msrs_have_kvmclock(const struct vcpu_msrs *msrs)
{
	for (uint32_t i = 0; i < msrs->n; i++) {
		const struct kvm_msr_entry *e = &msrs->entries[i];

		if ((e->index == MSR_KVM_SYSTEM_TIME || e->index == MSR_KVM_SYSTEM_TIME_NEW) &&
		    e->data & KVM_MSR_ENABLED)
			return true;
	}
	return false;
}

int vcpu_tsc_read(int fd, struct vcpu_tsc_now *now, struct err *err)
{
	nsec_t before = clock_monotonic();

	if (!vcpu_msr_get(fd, MSR_IA32_TSC, &now->guest))
		return err_set(err, ERR_NO_KVM, "KVM_GET_MSRS: KVM does not hand out IA32_TSC");
	now->host_ns = (before + clock_monotonic()) / 2;
	return 0;
}

/* Where the guest's TSC is the host's, there is no need to ask KVM: __rdtsc is in user space. */
int vcpu_tsc_after(const struct kvm *kvm, int fd, struct vcpu_tsc_now *now, struct err *err)
{
	if (!(kvm->quirks & QUIRK_TSC_FIXED))
		return vcpu_tsc_read(fd, now, err);
	now->host_ns = clock_monotonic();
	now->guest = __rdtsc();
	return 0;
}

int vcpu_timer_restart(const struct kvm *kvm, int fd, uint64_t ticks, struct err *err)
{
	struct vcpu_tsc_now now = { 0 };
	int ret = vcpu_tsc_after(kvm, fd, &now, err);

	return ret < 0 ? ret : msr_set(fd, MSR_IA32_TSC_DEADLINE, now.guest + ticks, err);
}

int vcpu_msrs_load(const struct kvm *kvm, int fd, const struct vcpu_state *s,
		   struct vcpu_tsc_now *now, struct err *err)
{
	int ret;

	/* Away from it first: KVM before 6.6 takes a value within a second of what the new VM's
	 * TSC would be for an attempt to synchronise, and ignores it. */
	if (!(kvm->quirks & QUIRK_TSC_FIXED))
		vcpu_msr_set(fd, MSR_IA32_TSC, s->tsc.value ^ TSC_FAR);
	ret = msrs_set(fd, &s->msrs, err);
	if (ret == 0)
		ret = vcpu_tsc_after(kvm, fd, now, err);
	if (ret < 0)
		return ret;
	return s->tsc.deadline != 0 ? deadline_load(fd, &s->tsc, now->guest, err) : 0;
}

int vcpu_cpuid_save(int fd, struct cpuid *cpuid, struct err *err)
{
	memset(cpuid, 0, sizeof(*cpuid));
	cpuid->n = CPUID_MAX_ENTRIES;
	if (ioctl(fd, KVM_GET_CPUID2, cpuid) < 0)
		return err_sys(err, "KVM_GET_CPUID2");
	/* Linux 6.1 does not say how many it wrote. Only leaf 0, the first, is called 0. */
	while (cpuid->n > 1 && cpuid->entries[cpuid->n - 1].function == 0)
		cpuid->n--;
	return 0;
}

int vcpu_cpuid_load(int fd, const struct cpuid *cpuid, struct err *err)
{
	if (ioctl(fd, KVM_SET_CPUID2, cpuid) < 0)
		return err_sys(err, "KVM_SET_CPUID2 (%u leaves)", cpuid->n);
	return 0;
}
