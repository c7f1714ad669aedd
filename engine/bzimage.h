/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bzimage.h - Linux's compressed kernel file. Source: Linux, Documentation/arch/x86/boot.rst. The
 * file is not trusted.
 */
#pragma once

#include "engine/linux_kernel.h"

bool bzimage_is(const struct boot_blob *file);

/* Put a file that bzimage_is() where it prefers to be, for the 64-bit entry. Errors: -ENOEXEC,
 * -E2BIG as linux_kernel_load. */
int bzimage_load(const struct mem *mem, const struct boot_blob *file,
		 struct linux_kernel *kernel, struct err *err) must_check;
