/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors_call.S - the inner part of vectors.c: long vectors_call(in, out, number, has_avx).
 * The offsets are those of struct state.
 */
#define GENERAL  (16 * 32)
#define RED_ZONE (GENERAL + 12 * 8)
#define MXCSR	 (RED_ZONE + 8)
#define FCW	 (MXCSR + 4)

	.text
	.globl	vectors_call
vectors_call:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	push	%rcx			/* 8(%rsp): has_avx */
	push	%rsi			/* (%rsp): out */

	mov	%rdi, %r11
	mov	%rdx, %rax
	test	%rcx, %rcx
	jz	1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	32 * \n(%r11), %ymm\n
	.endr
	jmp	2f
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movdqu	32 * \n(%r11), %xmm\n
	.endr
2:	ldmxcsr	MXCSR(%r11)
	fldcw	FCW(%r11)
	mov	RED_ZONE(%r11), %rcx
	mov	%rcx, -8(%rsp)
	mov	GENERAL(%r11), %rbx
	mov	GENERAL + 8(%r11), %rbp
	mov	GENERAL + 16(%r11), %r12
	mov	GENERAL + 24(%r11), %r13
	mov	GENERAL + 32(%r11), %r14
	mov	GENERAL + 40(%r11), %r15
	mov	GENERAL + 48(%r11), %rdi
	mov	GENERAL + 56(%r11), %rsi
	mov	GENERAL + 64(%r11), %rdx
	mov	GENERAL + 72(%r11), %r10
	mov	GENERAL + 80(%r11), %r8
	mov	GENERAL + 88(%r11), %r9
	syscall

	mov	(%rsp), %r11
	mov	%rbx, GENERAL(%r11)
	mov	%rbp, GENERAL + 8(%r11)
	mov	%r12, GENERAL + 16(%r11)
	mov	%r13, GENERAL + 24(%r11)
	mov	%r14, GENERAL + 32(%r11)
	mov	%r15, GENERAL + 40(%r11)
	mov	%rdi, GENERAL + 48(%r11)
	mov	%rsi, GENERAL + 56(%r11)
	mov	%rdx, GENERAL + 64(%r11)
	mov	%r10, GENERAL + 72(%r11)
	mov	%r8, GENERAL + 80(%r11)
	mov	%r9, GENERAL + 88(%r11)
	mov	-8(%rsp), %rcx
	mov	%rcx, RED_ZONE(%r11)
	stmxcsr	MXCSR(%r11)
	fnstcw	FCW(%r11)
	cmpq	$0, 8(%rsp)
	je	1f
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu	%ymm\n, 32 * \n(%r11)
	.endr
	jmp	2f
1:	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movdqu	%xmm\n, 32 * \n(%r11)
	.endr
2:	fninit
	movl	$0x1f80, 4(%rsp)	/* the C library wants its own modes back */
	ldmxcsr	4(%rsp)
	add	$16, %rsp
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
