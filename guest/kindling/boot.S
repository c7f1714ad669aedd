/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boot.S - the whole of ring 0: from the boot loader to ring 3, and from an exception to the
 * C code that answers it. (The third piece, the landing of SYSCALL, is in entry.S.)
 *
 * Ring 0 may be emulated an instruction at a time and many instructions are refused there, so
 * the descriptor tables and the first page tables are data, made by the linker, not code.
 */
#include "guest/kindling/layout.h"
#include "guest/kindling/regs.h"

	.globl	layout_kernel
	.set	layout_kernel, LAYOUT_KERNEL

/* ---- from the boot loader to ring 3 ---- */

	.section .boot, "ax"
	.globl	boot_start
boot_start:
	/* We run at our physical address under the loader's identity mapping; what is relative
	 * to RIP is therefore physical. boot_pml4 maps us at both places. */
	lea	boot_pml4(%rip), %rax
	mov	%rax, %cr3
	movabs	$boot_high, %rax
	jmp	*%rax

boot_high:
	/* The second load forgets the identity mapping, in the TLB too. */
	mov	$tables_pml4_pa, %eax
	mov	%rax, %cr3
	movq	$0, boot_pml4(%rip)
	movq	$0, boot_pml4 + 255 * 8(%rip)
	lgdt	boot_gdtr(%rip)
	lidt	boot_idtr(%rip)
	mov	$LAYOUT_TSS, %eax
	ltr	%ax
	xor	%eax, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %fs
	mov	%eax, %gs

	mov	$0xc0000081, %ecx	/* STAR: SYSCALL to 0x10/0x18, SYSRET to 0x33/0x2b */
	mov	$((LAYOUT_USER_CS - 16) << 16 | LAYOUT_KERNEL_CS), %edx
	wrmsr
	inc	%ecx			/* LSTAR */
	lea	entry_syscall(%rip), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	wrmsr
	mov	$0xc0000084, %ecx	/* FMASK: TF IF DF IOPL NT RF AC */
	mov	$0x57700, %eax
	xor	%edx, %edx
	wrmsr

	/* To ring 3, for good: interrupts off, no I/O privilege. RSI is the boot info. */
	mov	%rsi, %rdi
	lea	entry_stack_top(%rip), %rsp
	lea	-8(%rsp), %rax		/* as a call would leave it */
	lea	kindling_main(%rip), %rcx
	pushq	$LAYOUT_USER_SS
	push	%rax
	pushq	$2
	pushq	$LAYOUT_USER_CS
	push	%rcx
	iretq

/* ---- exceptions ---- */

/*
 * Every exception ends in C, in ring 3, with a pointer to the frame, also one that ring 0
 * took: the report says so. The C code continues on the same stack, below the frame, and
 * never returns: it ends the machine or lets the program go on.
 */
	.text
trap_common:
	REGS_PUSH
	mov	%rsp, %rdi
	mov	%cr2, %rsi
	mov	%rsp, %rax
	and	$-16, %rax
	sub	$8, %rax
	lea	trap_serve(%rip), %rcx
	pushq	$LAYOUT_USER_SS
	push	%rax
	pushq	$2
	pushq	$LAYOUT_USER_CS
	push	%rcx
	iretq

/* Vectors 8, 10 to 14, 17, 21, 29 and 30 push an error code (Intel SDM vol. 3A table 6-1; AMD
 * APM vol. 2 section 8.2); the others get a 0. */
	.balign 512
	.globl	trap_stubs
trap_stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	.if	!(0x60227d00 >> vector & 1)
	pushq	$0
	.endif
	pushq	$vector
	jmp	trap_common
	.set	vector, vector + 1
	.endr

/* ---- tables ---- */

	.section .tables, "aw"

/* Bits: present, writable, user, accessed; in a large page also dirty and page size. Accessed
 * and dirty are set from the start so that the processor never writes to a table. */
#define TABLE	0x27
#define LARGE	0xe7

	.balign	4096
	.globl	tables_pml4
tables_pml4:
	.fill	255, 8, 0
	.quad	tables_pdpt_pa + TABLE
	.fill	256, 8, 0

/* Only until boot_high: kindling's two places share one table, as both are the first GiB of
 * a PML4 slot. Afterwards it is where tables.c drafts. */
	.globl	boot_pml4
boot_pml4:
	.quad	tables_pdpt_pa + TABLE
	.fill	254, 8, 0
	.quad	tables_pdpt_pa + TABLE
	.fill	256, 8, 0

	.globl	tables_pdpt
tables_pdpt:
	.quad	tables_pd_pa + TABLE
	.fill	511, 8, 0

	.globl	tables_pd
tables_pd:
	.quad	LARGE				/* LAYOUT_KERNEL */
	.quad	LAYOUT_REGS_GPA + LARGE		/* LAYOUT_REGS */
	.set	page, 0
	.rept	7				/* LAYOUT_WINDOW */
	.quad	LAYOUT_WINDOW_GPA + page * LAYOUT_HUGE_PAGE + LARGE
	.set	page, page + 1
	.endr
	.fill	512 - 9, 8, 0

	.data
	.balign	16
boot_gdt:
	.quad	0, 0
	.quad	0x00af9b000000ffff		/* 0x10: ring 0 code */
	.quad	0x00cf93000000ffff		/* 0x18: ring 0 data */
	.quad	0				/* 0x20: no 32-bit code */
	.quad	0x00cff3000000ffff		/* 0x2b: ring 3 data */
	.quad	0x00affb000000ffff		/* 0x33: ring 3 code */
	.quad	0
	.word	0x67, boot_tss_low		/* 0x40: the TSS */
	.byte	boot_tss_middle, 0x89, 0, boot_tss_upper
	.long	boot_tss_high, 0
boot_gdt_end:

	.balign	16
boot_idt:
	.set	vector, 0
	.rept	32
	.word	trap_stubs_low + 16 * vector, LAYOUT_KERNEL_CS
	.if	vector == 3 || vector == 4
	.byte	0, 0xee				/* int3 and into are for everybody */
	.else
	.byte	0, 0x8e
	.endif
	.word	trap_stubs_middle
	.long	trap_stubs_high, 0
	.set	vector, vector + 1
	.endr
boot_idt_end:

	.balign	16
	.globl	boot_tss
boot_tss:
	.long	0
	.quad	trap_stack_top			/* RSP0 */
	.fill	90, 1, 0
	.word	0x68				/* no I/O bitmap */
	.balign	8

boot_gdtr:
	.word	boot_gdt_end - boot_gdt - 1
	.quad	boot_gdt
boot_idtr:
	.word	boot_idt_end - boot_idt - 1
	.quad	boot_idt

	.bss
	.balign	16
	.skip	LAYOUT_TRAP_STACK
trap_stack_top:

	.section .note.GNU-stack, "", @progbits
