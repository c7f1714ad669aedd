/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linux_kernel.h - a Linux kernel file, ELF vmlinux or bzImage, put into guest memory. The file is
 * not trusted.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/boot.h"

/* How the kernel is entered. */
enum linux_entry {
	LINUX_ENTRY_ANY, /* PVH where the kernel has a note of it, else 64 bits */
	LINUX_ENTRY_PVH,
	LINUX_ENTRY_64,
};

/* A kernel in guest memory, and what its file says of it. */
struct linux_kernel {
	gpa_t entry;
	gpa_t end;	      /* the first address that is not the kernel's */
	bool is_pvh;	      /* entry is PVH's, in 32-bit mode; else startup_64 */
	uint64_t cmdline_max; /* bytes of a command line, without the NUL */
	gpa_t initrd_end;     /* an initrd must end here, or below */
	const uint8_t *setup; /* bzImage: the setup header in the file, which goes to the */
	size_t setup_size;    /* boot parameters; 0: none */
};

/*
 * linux_kernel_load - put @file where it wants to be.
 * Errors: -ENOEXEC no such kernel, or one that cannot be entered that way; -E2BIG no room.
 */
int linux_kernel_load(const struct mem *mem, const struct boot_blob *file,
		      enum linux_entry entry, struct linux_kernel *kernel,
		      struct err *err) must_check;
