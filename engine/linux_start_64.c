/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_start_64.c - the handover to a kernel's 64-bit entry. Source: Linux,
 * Documentation/arch/x86/boot.rst, "64-bit Boot Protocol", and zero-page.rst.
 */
#include <asm/bootparam.h>
#include <string.h>
#include <sys/ioctl.h>

#include "engine/boot_linux.h"
#include "engine/err.h"
#include "engine/identity_map.h"
#include "engine/pc_memory.h"
#include "engine/segments.h"
#include "engine/x86.h"

#define LOADER_OTHER 0xffu /* boot.rst, type_of_loader: none that has a number */

/* What a vmlinux has no header for. */
#define BOOT_FLAG 0xaa55u
#define MAGIC	  0x53726448u /* "HdrS" */
#define VERSION	  0x20cu

/* Of guest-physical address space, which kernel, parameters and command line are in. */
#define MAPPED_GIB IDENTITY_MAP_GIB_MAX

static void write_map(const struct mem *mem, struct boot_params *to)
{
	struct pc_range map[PC_RANGES_MAX];
	uint32_t n = pc_memory_map(mem, map);

	to->e820_entries = (uint8_t)n;
	for (uint32_t i = 0; i < n; i++)
		to->e820_table[i] =
			(struct boot_e820_entry){ map[i].gpa, map[i].size, map[i].type };
}

static void write_params(const struct mem *mem, const struct linux_start *start)
{
	struct boot_params *to = mem_at(mem, LINUX_START_GPA, sizeof(*to));

	memset(to, 0, sizeof(*to));
	to->hdr = (struct setup_header){
		.boot_flag = BOOT_FLAG,
		.header = MAGIC,
		.version = VERSION,
	};
	if (start->kernel->setup_size > 0)
		memcpy(&to->hdr, start->kernel->setup, start->kernel->setup_size);
	to->hdr.type_of_loader = LOADER_OTHER;
	to->hdr.cmd_line_ptr = (uint32_t)start->cmdline;
	to->hdr.ramdisk_image = (uint32_t)start->initrd;
	to->hdr.ramdisk_size = (uint32_t)start->initrd_size;
	to->acpi_rsdp_addr = start->rsdp;
	write_map(mem, to);
}

/* The protocol asks for descriptors behind the selectors: code at 0x10, data at 0x18. */
static void write_gdt(const struct mem *mem, struct kvm_sregs *sregs)
{
	static const uint64_t gdt[] = { 0, 0, SEGMENT_CODE_64, SEGMENT_DATA };

	memcpy(mem_at(mem, LINUX_GDT_GPA, sizeof(gdt)), gdt, sizeof(gdt));
	sregs->gdt.base = LINUX_GDT_GPA;
	sregs->gdt.limit = sizeof(gdt) - 1;
}

int linux_start_64(struct vm *vm, const struct linux_start *start, struct err *err)
{
	struct kvm_regs regs = { .rip = start->kernel->entry,
				 .rsi = LINUX_START_GPA,
				 .rflags = RFLAGS_FIXED };
	struct kvm_sregs sregs;
	int fd = vm->vcpus[0].fd;

	write_params(&vm->mem, start);
	identity_map_write(&vm->mem, MAPPED_GIB);
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	segments_set_flat(&sregs, 0);
	write_gdt(&vm->mem, &sregs);
	sregs.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG;
	sregs.cr3 = IDENTITY_MAP_GPA;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	if (ioctl(fd, KVM_SET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS (64-bit mode)");
	if (ioctl(fd, KVM_SET_REGS, &regs) < 0)
		return err_sys(err, "KVM_SET_REGS");
	return 0;
}
