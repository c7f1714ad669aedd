/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_linux.h - kernel files as Linux has them, small, and whole but for the kernel. */
#pragma once

#include <asm/bootparam.h>
#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_GPA  0x200000u /* where they are to be */
#define KERNEL_SIZE 0x100000u /* of memory that a vmlinux takes */

/* A vmlinux: one segment, and two notes of which the second is PVH's. */
struct vmlinux {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	struct {
		Elf64_Nhdr nh;
		char name[4];
		uint64_t entry;
	} notes[2];
	uint8_t code[512]; /* at KERNEL_GPA, the entry in 64 bits */
};

/* A bzImage: boot sector, one sector of setup code, and the kernel, which has its entry at 0x200. */
struct bzimage {
	uint8_t before[offsetof(struct boot_params, hdr)];
	struct setup_header hdr;
	uint8_t after[1024 - offsetof(struct boot_params, hdr) - sizeof(struct setup_header)];
	uint8_t payload[4096];
};

/* @pvh_entry: bytes from KERNEL_GPA. */
void vmlinux_make(struct vmlinux *elf, uint32_t pvh_entry);
void bzimage_make(struct bzimage *bz);
