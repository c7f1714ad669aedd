/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_start_pvh.c - the handover to a kernel with a PVH entry. Source: Xen,
 * docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h.
 */
#include <sys/ioctl.h>

#include "engine/boot_linux.h"
#include "engine/err.h"
#include "engine/pc_memory.h"
#include "engine/segments.h"
#include "engine/x86.h"

#define MAGIC	0x336ec578u
#define VERSION 1u /* the first with a memory map */

struct start_info {
	uint32_t magic, version, flags;
	uint32_t nmodules;
	uint64_t modules, cmdline, rsdp; /* guest addresses */
	uint64_t ranges;
	uint32_t nranges, reserved;
};

struct module {
	uint64_t gpa, size, cmdline, reserved;
};

struct range {
	uint64_t gpa, size;
	uint32_t type, reserved;
};

/* All that the kernel is told, on one page. */
struct page {
	struct start_info info;
	struct module initrd;
	struct range ranges[PC_RANGES_MAX];
};

static void write_page(const struct mem *mem, const struct linux_start *start)
{
	struct page *page = mem_at(mem, LINUX_START_GPA, sizeof(*page));
	struct pc_range map[PC_RANGES_MAX];
	uint32_t n = pc_memory_map(mem, map);

	*page = (struct page){
		.info = { .magic = MAGIC,
			  .version = VERSION,
			  .nmodules = start->initrd ? 1 : 0,
			  .modules = LINUX_START_GPA + offsetof(struct page, initrd),
			  .cmdline = start->cmdline,
			  .rsdp = start->rsdp,
			  .ranges = LINUX_START_GPA + offsetof(struct page, ranges),
			  .nranges = n },
		.initrd = { .gpa = start->initrd, .size = start->initrd_size },
	};
	for (uint32_t i = 0; i < n; i++)
		page->ranges[i] = (struct range){ map[i].gpa, map[i].size, map[i].type, 0 };
}

int linux_start_pvh(struct vm *vm, const struct linux_start *start, struct err *err)
{
	struct kvm_regs regs = { .rip = start->kernel->entry,
				 .rbx = LINUX_START_GPA,
				 .rflags = RFLAGS_FIXED };
	struct kvm_sregs sregs;
	int fd = vm->vcpus[0].fd;

	write_page(&vm->mem, start);
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	segments_set_protected(&sregs);
	sregs.cr0 = CR0_PE | CR0_ET; /* ET is always 1 */
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS (32-bit protected mode)");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}
