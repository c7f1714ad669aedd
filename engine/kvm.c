/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"

/* XSAVE components for guests: x87, SSE, AVX, AVX-512 (SDM vol. 1, 13.1). Others need a
 * permission (AMX), a driver (PKRU) or are supervisor state. */
#define XCR0_OFFERED 0xe7ull

struct kvm_need {
	int cap;
	const char *name;
};

/* clang-format off */
static const struct kvm_need needs[] = {
	{ KVM_CAP_USER_MEMORY,	  "KVM_CAP_USER_MEMORY" },
	{ KVM_CAP_EXT_CPUID,	  "KVM_CAP_EXT_CPUID" },
	{ KVM_CAP_MP_STATE,	  "KVM_CAP_MP_STATE" },
	{ KVM_CAP_VCPU_EVENTS,	  "KVM_CAP_VCPU_EVENTS" },
	{ KVM_CAP_DEBUGREGS,	  "KVM_CAP_DEBUGREGS" },
	{ KVM_CAP_XSAVE,	  "KVM_CAP_XSAVE" },
	{ KVM_CAP_XCRS,		  "KVM_CAP_XCRS" },
	{ KVM_CAP_ADJUST_CLOCK,	  "KVM_CAP_ADJUST_CLOCK" },
	{ KVM_CAP_GET_TSC_KHZ,	  "KVM_CAP_GET_TSC_KHZ" },
	{ KVM_CAP_SPLIT_IRQCHIP,  "KVM_CAP_SPLIT_IRQCHIP" },
	{ KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT" }, /* Linux 4.13 */
	{ KVM_CAP_X86_MSR_FILTER, "KVM_CAP_X86_MSR_FILTER" }, /* Linux 5.10 */
};
/* clang-format on */

static int check_cap(const struct kvm *kvm, int cap)
{
	return ioctl(kvm->fd, KVM_CHECK_EXTENSION, cap);
}

static int check_needs(const struct kvm *kvm, struct err *err)
{
	int version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);

	if (version != KVM_API_VERSION)
		return err_set(err, ERR_NO_KVM, "/dev/kvm has API version %d, expected %d",
			       version, KVM_API_VERSION);
	for (size_t i = 0; i < ARRAY_SIZE(needs); i++) {
		if (check_cap(kvm, needs[i].cap) <= 0)
			return err_set(err, ERR_NO_KVM,
				       "/dev/kvm has no %s: Linux 5.10 "
				       "or later is needed",
				       needs[i].name);
	}
	return 0;
}

static int read_cpuid(struct kvm *kvm, struct err *err)
{
	kvm->cpuid.n = CPUID_MAX_ENTRIES;
	if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, &kvm->cpuid) < 0)
		return err_sys(err, "KVM_GET_SUPPORTED_CPUID");
	cpuid_set_apic_id(&kvm->cpuid, 0);
	/* Left to us by kernels that do not know here that there will be an in-kernel LAPIC. */
	if (check_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		cpuid_set_tsc_deadline(&kvm->cpuid);
	/* Left to us by most kernels. */
	cpuid_set_hypervisor(&kvm->cpuid);
	kvm->xcr0 = cpuid_xcr0(&kvm->cpuid) & XCR0_OFFERED;
	return 0;
}

static int read_msr_list(struct kvm *kvm, struct err *err)
{
	struct { /* a struct kvm_msr_list with room */
		uint32_t n;
		uint32_t indices[KVM_MSRS_MAX];
	} buf = { .n = KVM_MSRS_MAX };

	if (ioctl(kvm->fd, KVM_GET_MSR_INDEX_LIST, &buf) < 0)
		return err_sys(err, "KVM_GET_MSR_INDEX_LIST (%u MSRs, room for %u)", buf.n,
			       KVM_MSRS_MAX);
	kvm->nmsrs = buf.n;
	memcpy(kvm->msrs, buf.indices, sizeof(buf.indices));
	return 0;
}

static int read_sizes(struct kvm *kvm, struct err *err)
{
	int run_size = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	int xsave_size = check_cap(kvm, KVM_CAP_XSAVE2);

	if (run_size < 0)
		return err_sys(err, "KVM_GET_VCPU_MMAP_SIZE");
	kvm->run_size = (uint32_t)run_size;
	kvm->xsave2 = xsave_size > 0;
	kvm->xsave_size = (uint32_t)MAX(xsave_size, (int)sizeof(struct kvm_xsave));
	if (kvm->xsave_size > KVM_XSAVE_MAX)
		return err_set(err, ERR_NO_KVM, "KVM's XSAVE area is %u bytes, at most %u fit",
			       kvm->xsave_size, KVM_XSAVE_MAX);
	kvm->tsc_scaling = check_cap(kvm, KVM_CAP_TSC_CONTROL) > 0;
	kvm->kvmclock_ctrl = check_cap(kvm, KVM_CAP_KVMCLOCK_CTRL) > 0;
	kvm->sync_regs = (~(unsigned int)check_cap(kvm, KVM_CAP_SYNC_REGS) &
			  KVM_SYNC_X86_VALID_FIELDS) == 0;
	return 0;
}

int kvm_open(struct kvm *kvm, struct err *err)
{
	int ret;

	memset(kvm, 0, sizeof(*kvm));
	kvm->fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm->fd < 0)
		return err_set(err, ERR_NO_KVM,
			       "/dev/kvm: %s (is KVM enabled, and may you use it?)",
			       strerrordesc_np(errno));
	ret = check_needs(kvm, err);
	if (ret == 0)
		ret = read_cpuid(kvm, err);
	if (ret == 0)
		ret = read_msr_list(kvm, err);
	if (ret == 0)
		ret = read_sizes(kvm, err);
	if (ret == 0)
		ret = kvm_quirks_probe(kvm, err);
	if (ret < 0)
		kvm_close(kvm);
	return ret;
}

void kvm_close(struct kvm *kvm)
{
	if (kvm->fd >= 0)
		close(kvm->fd);
	kvm->fd = -1;
}

int kvm_create_vm(const struct kvm *kvm, struct err *err)
{
	int fd;

	/* A signal during the creation of KVM's worker thread gives EINTR. Bounded: a process
	 * that is flooded by signals should hear of it. */
	for (int tries = 0; tries < 16; tries++) {
		fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);
		if (fd >= 0 || errno != EINTR)
			break;
	}
	if (fd < 0)
		return err_sys(err, "KVM_CREATE_VM");
	return fd;
}

const char *kvm_kind_name(enum kvm_kind kind)
{
	switch (kind) {
	case KVM_KIND_VMX:
		return "vmx";
	case KVM_KIND_SVM:
		return "svm";
	case KVM_KIND_PVM:
		return "pvm";
	case KVM_KIND_UNKNOWN:
		break;
	}
	return "unknown";
}

uint32_t kvm_features(const struct kvm *kvm, const struct cpuid_word *w)
{
	if (kvm->quirks & QUIRK_CPUID_HOST)
		return cpuid_word_host(w);
	return cpuid_word_value(&kvm->cpuid, w);
}
