/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot_linux.h - put a Linux machine into a fresh VM: kernel, initrd, command line, memory map,
 * and a vCPU at the kernel's entry.
 */
#pragma once

#include "engine/linux_kernel.h"

struct linux_boot {
	struct boot_blob kernel;
	struct boot_blob initrd; /* size 0: none */
	const char *cmdline;
	gpa_t rsdp; /* ACPI's root pointer, in guest memory; 0: no ACPI */
	enum linux_entry entry;
};

/*
 * boot_linux - @vm: just made by vm_create with RAM as pc_memory_layout() says, one vCPU, nothing
 * in its memory but firmware's tables.
 * Errors: -ENOEXEC a bad kernel; -E2BIG when something does not fit; -EINVAL other memory.
 */
int boot_linux(struct vm *vm, const struct linux_boot *boot, struct err *err) must_check;

/*
 * On the command line, Linux resets the machine by the keyboard controller, also when it panics. It tells
 * the BIOS whether that is to be a warm or a cold boot, the latter where nobody asks for the other;
 * since 5.2 a panic can have its own (Documentation/admin-guide/kernel-parameters.txt, reboot=).
 */
#define LINUX_RESETS "panic=-1 reboot=panic_warm,k"

/* The machine was reset: did the kernel panic? One with LINUX_RESETS on its command line. */
bool boot_linux_panicked(const struct mem *mem);

/* What a kernel finds when it is entered. */
struct linux_start {
	const struct linux_kernel *kernel;
	gpa_t cmdline;
	gpa_t initrd; /* 0: none */
	uint64_t initrd_size;
	gpa_t rsdp;
};

/* Tell it, and set the vCPU: by PVH's start info, and by Linux's boot parameters. */
int linux_start_pvh(struct vm *vm, const struct linux_start *start, struct err *err) must_check;
int linux_start_64(struct vm *vm, const struct linux_start *start, struct err *err) must_check;

/* Pages in low memory that these are put to, and one for each. Ours; identity_map.h has six more. */
#define LINUX_GDT_GPA	  0x6000u
#define LINUX_START_GPA	  0x7000u  /* start info, or boot parameters */
#define LINUX_CMDLINE_GPA 0x20000u /* and what follows, to LINUX_CMDLINE_END */
#define LINUX_CMDLINE_END 0x90000u
