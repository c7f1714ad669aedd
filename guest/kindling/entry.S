/* SPDX-License-Identifier: Apache-2.0 */
/*
 * entry.S - system calls, and the whole event path.
 *
 * Everything here but four instructions runs in ring 3. There is one thread and no interrupt,
 * so what must be kept is kept in fixed places.
 */
#include "guest/kindling/layout.h"
#include "guest/kindling/regs.h"

/* The mailbox is within reach of RIP-relative addressing, so its addresses need no register. */
#define WINDOW(offset)	 LAYOUT_WINDOW - LAYOUT_KERNEL + offset + layout_kernel(%rip)
#define DOORBELL(offset) LAYOUT_REGS - LAYOUT_KERNEL + offset + layout_kernel(%rip)

/* ---- in ---- */

/*
 * SYSCALL comes here with RCX = the program's RIP, R11 = its RFLAGS and RSP still the
 * program's. Hardware arrives in ring 0; a paravirtual host's SYSCALL stays in ring 3.
 */
	.text
	.balign	64
	.globl	entry_syscall
entry_syscall:
	mov	%rcx, entry_rip(%rip)
	mov	%r11, entry_rflags(%rip)
	mov	%cs, %ecx
	test	$3, %cl
	jnz	entry_serve
	lea	entry_serve(%rip), %rcx
	mov	$2, %r11d
	sysretq

entry_serve:
	mov	%rsp, entry_rsp(%rip)
	lea	entry_stack_top(%rip), %rsp
	testb	$1, entry_rflags + 1(%rip)	/* TF: only an IRET steps the right instruction */
	jnz	entry_slow
	cmp	$1, %rax
	ja	entry_slow
	je	1f
	cmp	event_fd(%rip), %rdi
	jne	entry_slow
	cmpb	$0, hook_wanted(%rip)	/* more to do than to read: hook.c */
	jne	entry_slow
	call	event_read
	jmp	2f
1:	cmp	reply_fd(%rip), %rdi
	jne	entry_slow
	call	event_write
2:	mov	entry_rflags(%rip), %r11
	push	%r11
	popfq
	mov	entry_rip(%rip), %rcx
	mov	entry_rsp(%rip), %rsp
	jmp	*%rcx

/* All other calls: a struct regs, as an exception would leave it, and to C. */
entry_slow:
	pushq	$LAYOUT_USER_SS
	pushq	entry_rsp(%rip)
	pushq	entry_rflags(%rip)
	pushq	$LAYOUT_USER_CS
	pushq	entry_rip(%rip)
	pushq	$0
	pushq	$-1
	mov	entry_rip(%rip), %rcx
	mov	entry_rflags(%rip), %r11
	REGS_PUSH
	mov	%rsp, %rdi
	call	call_serve
	mov	%rsp, %rdi

/* regs_resume(regs): the program goes on as *regs says, with every register. An IRET from
 * ring 3 to ring 3 is an ordinary instruction, also on a paravirtual host. */
	.globl	regs_resume
regs_resume:
	mov	%rdi, %rsp
	REGS_POP
	add	$16, %rsp		/* vector, error code */
	iretq

/* ---- the event path ---- */

/*
 * RANGE_CHECK kind, fail: is [rsi, rsi + rdx) inside one of the ranges user_<kind>_ranges?
 * Changes RAX, R11.
 */
	.macro	RANGE_CHECK kind, fail
	lea	user_\kind\()_ranges(%rip), %r11
1:	cmp	user_\kind\()_end(%rip), %r11
	jae	\fail
	mov	8(%r11), %rax
	sub	%rsi, %rax		/* bytes up to the range's end */
	jb	2f
	cmp	(%r11), %rsi
	jb	2f
	cmp	%rdx, %rax
	jae	3f
2:	add	$16, %r11
	jmp	1b
3:
	.endm

/*
 * Both take the system call's registers (EDI the descriptor, RSI the buffer, RDX its size),
 * return its result in RAX and change nothing else but RCX and R11. C calls them too.
 *
 * event_read: all checks come first, so that a bad buffer costs no event.
 */
	.balign	64
	.globl	event_read
event_read:
	xor	%eax, %eax
	test	%rdx, %rdx
	jz	9f
	RANGE_CHECK write, event_fault
	cmpq	$0, event_left(%rip)
	jne	event_copy
	push	%rdx
	call	event_next
	pop	%rdx

/* event_copy: up to RDX bytes of what is left of the event, to RSI, which was checked. */
	.globl	event_copy
event_copy:
	push	%rdi
	push	%rsi
	mov	event_left(%rip), %rcx
	mov	event_size(%rip), %rax
	sub	%rcx, %rax		/* bytes already read */
	mov	%rsi, %rdi
	lea	WINDOW(LAYOUT_WINDOW_EVENT), %rsi
	add	%rax, %rsi
	cmp	%rdx, %rcx
	cmova	%rdx, %rcx
	mov	%rcx, %rax
	sub	%rcx, event_left(%rip)
	rep movsb
	pop	%rsi
	pop	%rdi
9:	ret

/* event_next: hand over the reply and take the next event. Changes RAX, RDX. */
	.globl	event_next
event_next:
	mov	reply_size(%rip), %rax
	mov	%rax, WINDOW(LAYOUT_MAILBOX_REPLY_SIZE)
	movl	$0, DOORBELL(LAYOUT_DOORBELL_NEXT)
	rdtsc
	mov	%eax, WINDOW(LAYOUT_MAILBOX_FIRST_TSC)
	mov	%edx, WINDOW(LAYOUT_MAILBOX_FIRST_TSC + 4)
	mov	WINDOW(LAYOUT_MAILBOX_EVENT_SIZE), %rax
	mov	%rax, event_size(%rip)
	mov	%rax, event_left(%rip)
	movq	$0, reply_size(%rip)
	movb	$1, event_seen(%rip)
	ret

	.globl	event_write
event_write:
	mov	$-32, %rax		/* EPIPE: there is nothing to answer yet */
	cmpb	$0, event_seen(%rip)
	je	9b
	xor	%eax, %eax
	test	%rdx, %rdx
	jz	9b
	RANGE_CHECK read, event_fault
	mov	$LAYOUT_REPLY_MAX, %eax
	mov	reply_size(%rip), %r11
	sub	%r11, %rax		/* room left */
	cmp	%rdx, %rax
	mov	$-90, %rax		/* EMSGSIZE */
	jb	9b
	push	%rdi
	push	%rsi
	lea	WINDOW(LAYOUT_WINDOW_REPLY), %rdi
	add	%r11, %rdi
	mov	%rdx, %rcx
	rep movsb
	add	%rdx, reply_size(%rip)
	mov	%rdx, %rax
	pop	%rsi
	pop	%rdi
	ret

event_fault:
	mov	$-14, %rax		/* EFAULT */
	ret

/* ---- out, the first time ---- */

/* program_enter(entry, sp): to the program's first instruction, all registers clear. */
	.globl	program_enter
program_enter:
	mov	%rsi, %rsp
	mov	%rdi, entry_rip(%rip)
	xor	%eax, %eax
	xor	%ebx, %ebx
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%esi, %esi
	xor	%edi, %edi
	xor	%ebp, %ebp
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d
	xor	%r12d, %r12d
	xor	%r13d, %r13d
	xor	%r14d, %r14d
	xor	%r15d, %r15d
	jmp	*entry_rip(%rip)

	.data
	.balign	8
	.globl	event_fd, reply_fd
event_fd:	.quad 3			/* the descriptors served here; -1: closed */
reply_fd:	.quad 4

	.bss
	.balign	16
	.skip	LAYOUT_SERVE_STACK
	.globl	entry_stack_top
entry_stack_top:
entry_rip:	.skip 8			/* the program's, during a system call */
entry_rsp:	.skip 8
entry_rflags:	.skip 8

	.globl	event_size, event_left, event_seen, reply_size
event_size:	.skip 8			/* bytes of the event last started */
event_left:	.skip 8			/* bytes of it not read yet */
reply_size:	.skip 8			/* bytes of the reply so far */
event_seen:	.skip 1			/* has there been an event? */

	.section .note.GNU-stack, "", @progbits
