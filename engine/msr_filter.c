/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/msr_filter.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/x86.h"

/* Where MSRs are: SDM vol. 4 and APM vol. 2, appendix A; Hyper-V's and Xen's; KVM's own
 * (asm/kvm_para.h). In what lies elsewhere nothing can be written, whatever a later KVM has there. */
static const uint32_t bases[] = { 0, 0x40000000, 0x4b564d00, 0xc0000000, 0xc0010000 };
#define NBASES ARRAY_SIZE(bases)
#define SPAN   0x2000u /* MSRs from each of them: as many as bitmaps of VMX and SVM cover */

/* Not in KVM's list, and yet nothing that a request could leave behind. */
static const uint32_t always[] = {
	MSR_IA32_APIC_BASE, MSR_EFER,
	MSR_FS_BASE,	    MSR_GS_BASE,	/* in the system registers */
	MSR_IA32_PRED_CMD,  MSR_IA32_FLUSH_CMD, /* commands: they hold nothing */
	MSR_AMD64_NB_CFG,			/* KVM forgets what Linux writes there */
};

/* In the list, but without it there is no VMXON, and so no nested state. SDM vol. 3C, 24.7 */
#define NEVER MSR_IA32_FEAT_CTL

struct bitmap {
	uint8_t bytes[SPAN / 8];
};

static void allow(struct bitmap maps[NBASES], const uint32_t *indices, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		for (size_t k = 0; k < NBASES; k++) {
			uint32_t bit = indices[i] - bases[k];

			if (bit < SPAN && indices[i] != NEVER)
				maps[k].bytes[bit / 8] |= (uint8_t)(1u << bit % 8);
		}
	}
}

int msr_filter_set(int vm_fd, const uint32_t *indices, uint32_t n, struct err *err)
{
	struct kvm_msr_filter filter = { .flags = KVM_MSR_FILTER_DEFAULT_DENY };
	struct bitmap writes[NBASES] = { 0 }, all;

	_Static_assert(2 * NBASES <= KVM_MSR_FILTER_MAX_RANGES, "KVM takes that many ranges");
	memset(&all, 0xff, sizeof(all));
	allow(writes, always, ARRAY_SIZE(always));
	allow(writes, indices, n);
	for (size_t i = 0; i < NBASES; i++) {
		filter.ranges[2 * i] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ,
			.nmsrs = SPAN,
			.base = bases[i],
			.bitmap = all.bytes,
		};
		filter.ranges[2 * i + 1] = filter.ranges[2 * i];
		filter.ranges[2 * i + 1].flags = KVM_MSR_FILTER_WRITE;
		filter.ranges[2 * i + 1].bitmap = writes[i].bytes;
	}
	if (ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0)
		return err_sys(err, "KVM_X86_SET_MSR_FILTER");
	return 0;
}
