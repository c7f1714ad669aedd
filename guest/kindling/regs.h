/* SPDX-License-Identifier: Apache-2.0 */
/*
 * regs.h - the program's registers as an exception or a system call leaves them on kindling's
 * stack. Read by C and by assembly; the order is the hardware's for the last five and
 * REGS_PUSH's for the rest.
 */
#pragma once

/* clang-format off */
#ifdef __ASSEMBLER__

	.macro	REGS_PUSH
	push	%rdi
	push	%rsi
	push	%rdx
	push	%rcx
	push	%rax
	push	%r8
	push	%r9
	push	%r10
	push	%r11
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	.endm

	.macro	REGS_POP
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	pop	%r11
	pop	%r10
	pop	%r9
	pop	%r8
	pop	%rax
	pop	%rcx
	pop	%rdx
	pop	%rsi
	pop	%rdi
	.endm

#else
/* clang-format on */

#include <stdint.h>

#define REGS_NO_VECTOR 0xffffffffu /* a system call, not an exception */

struct regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
	uint64_t vector; /* of the exception; its low half REGS_NO_VECTOR in a system call */
	uint64_t error_code;
	uint64_t rip, cs, rflags, rsp, ss;
};

#endif
