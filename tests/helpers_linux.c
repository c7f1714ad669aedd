/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_linux.h"

#include <string.h>

void vmlinux_make(struct vmlinux *elf, uint32_t pvh_entry)
{
	*elf = (struct vmlinux){
		.eh = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = KERNEL_GPA,
			.e_phoff = offsetof(struct vmlinux, ph),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2 },
		.ph = { { .p_type = PT_LOAD,
			  .p_offset = offsetof(struct vmlinux, code),
			  .p_vaddr = 0xffffffff81000000,
			  .p_paddr = KERNEL_GPA,
			  .p_filesz = sizeof(elf->code),
			  .p_memsz = KERNEL_SIZE },
			{ .p_type = PT_NOTE,
			  .p_offset = offsetof(struct vmlinux, notes),
			  .p_filesz = sizeof(elf->notes) } },
		.notes = { { { 4, 8, 6 }, "Xen", 1 },
			   { { 4, 8, 18 }, "Xen", KERNEL_GPA + pvh_entry } },
	};
}

void bzimage_make(struct bzimage *bz)
{
	*bz = (struct bzimage){ .hdr = { .setup_sects = 1,
					 .syssize = sizeof(bz->payload) / 16,
					 .boot_flag = 0xaa55,
					 .jump = 0x66eb,
					 .header = 0x53726448,
					 .version = 0x20f,
					 .loadflags = LOADED_HIGH,
					 .initrd_addr_max = 0x7fffffff,
					 .kernel_alignment = KERNEL_GPA,
					 .relocatable_kernel = 1,
					 .xloadflags = XLF_KERNEL_64,
					 .cmdline_size = 255,
					 .pref_address = KERNEL_GPA,
					 .init_size = 3 * KERNEL_SIZE } };
	memset(bz->payload, 0x5a, sizeof(bz->payload));
}
