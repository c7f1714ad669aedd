/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fpu.h - the program's x87 and vector state, which kindling never touches, saved into and
 * loaded from a signal frame in Linux's layout (arch/x86 uapi asm/sigcontext.h): an XSAVE area
 * in standard form whose software-reserved bytes tell its size, and a magic word behind it.
 * On processors without XSAVE it is a bare FXSAVE area.
 */
#pragma once

#include <stdint.h>

#define FPU_ALIGN 64u /* of an area, as XSAVE demands */

/* Learn what the processor has. XCR0 does not change after the boot. */
void fpu_init(void);

/* Bytes of an area, the magic word included. */
uint64_t fpu_size(void);

/* Fill @area, fpu_size() writable bytes. */
void fpu_save(void *area);

/* Load the state from @area, which the program may have changed; it can be read as far as
 * fpu_size(). Returns 0, or -EINVAL when the processor would refuse it. */
int fpu_load(const void *area) __attribute__((warn_unused_result));

/* The state that a program starts with. */
void fpu_reset(void);
