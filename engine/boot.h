/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.h - put a kindling machine into a fresh VM: kernel, modules, boot information, and a
 * vCPU in 64-bit mode at the kernel's entry. guest/abi.h says what the kernel finds.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/vm.h"

struct err;

struct boot_blob {
	const void *data;
	size_t size;
};

struct boot_config {
	struct boot_blob kernel;  /* kindling's ELF */
	struct boot_blob program; /* a static Linux ELF; kindling checks it */
	struct boot_blob files;	  /* newc cpio archives, size 0: none */
	const char *const *argv;  /* NULL at the end; argv[0] is the program's name */
	const char *const *envp;  /* NULL at the end */
	uint32_t mode;		  /* enum abi_boot_mode */
};

/*
 * boot_kindling - @vm: just made by vm_create, one vCPU, its memory still all zero.
 * Errors: -E2BIG when the modules do not fit into guest memory; -ENOEXEC a bad kernel.
 */
int boot_kindling(struct vm *vm, const struct boot_config *cfg, struct err *err) must_check;
