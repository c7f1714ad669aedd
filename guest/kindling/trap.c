/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trap.c - an exception becomes the signal that Linux makes of it. The program's handler gets
 * it if there is one; else it is the end, with a report.
 */
#include <linux/signal.h>

#include "guest/kindling/crash.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/log.h"
#include "guest/kindling/signal.h"

enum { NOWHERE, AT_RIP, AT_CR2 };

#define DEBUG		   1u
#define FLAG_TF		   0x100ul
#define PAGE_FAULT	   14u
#define PAGE_FAULT_PRESENT 1u /* error code: the page is there, the access is not allowed */
#define X87_FAULT	   16u
#define SIMD_FAULT	   19u

/* Signal, si_code and si_addr of each exception; where nothing is said, SIGSEGV. */
static const struct {
	uint8_t signal, code, where;
} kinds[32] = {
	[0] = { SIGFPE, FPE_INTDIV, AT_RIP },		 /* #DE */
	[DEBUG] = { SIGTRAP, TRAP_TRACE, AT_RIP },	 /* #DB */
	[3] = { SIGTRAP, SI_KERNEL, NOWHERE },		 /* #BP */
	[6] = { SIGILL, ILL_ILLOPN, AT_RIP },		 /* #UD */
	[11] = { SIGBUS, SI_KERNEL, NOWHERE },		 /* #NP */
	[12] = { SIGBUS, SI_KERNEL, NOWHERE },		 /* #SS */
	[PAGE_FAULT] = { SIGSEGV, SEGV_MAPERR, AT_CR2 }, /* #PF; or SEGV_ACCERR */
	[X87_FAULT] = { SIGFPE, FPE_FLTINV, AT_RIP },	 /* #MF; or what the status says */
	[17] = { SIGBUS, BUS_ADRALN, NOWHERE },		 /* #AC */
	[SIMD_FAULT] = { SIGFPE, FPE_FLTINV, AT_RIP },	 /* #XM; as #MF */
};

/* The kind of floating-point fault: its flag is set and not masked. */
static int32_t float_code(uint64_t vector)
{
	uint32_t mxcsr, flags;
	uint16_t control, status;

	__asm__ volatile("fnstcw %0; fnstsw %1; stmxcsr %2"
			 : "=m"(control), "=m"(status), "=m"(mxcsr));
	flags = vector == X87_FAULT ? status & ~(uint32_t)control : mxcsr & ~(mxcsr >> 7);
	if (flags & 1)
		return FPE_FLTINV;
	if (flags & 4)
		return FPE_FLTDIV;
	if (flags & 8)
		return FPE_FLTOVF;
	return flags & 0x12 ? FPE_FLTUND : FPE_FLTRES;
}

static struct signal_event event_of(const struct regs *r, uint64_t cr2)
{
	uint64_t vector = r->vector;
	struct signal_event e = { .number = kinds[vector].signal, .code = kinds[vector].code };

	if (!e.number)
		return (struct signal_event){ .number = SIGSEGV, .code = SI_KERNEL };
	if (kinds[vector].where != NOWHERE)
		e.address = kinds[vector].where == AT_CR2 ? cr2 : r->rip;
	if (vector == PAGE_FAULT && r->error_code & PAGE_FAULT_PRESENT)
		e.code = SEGV_ACCERR;
	if (vector == X87_FAULT || vector == SIMD_FAULT)
		e.code = float_code(vector);
	return e;
}

static int is_kindling(const struct regs *r)
{
	return r->rip >= LAYOUT_KERNEL && r->rip < LAYOUT_KERNEL_END;
}

void trap_serve(struct regs *r, uint64_t cr2)
{
	struct signal_event e = event_of(r, cr2);

	/* A SYSCALL that stays in ring 3 takes the program's single steps along. It gets them
	 * back with its flags: the next step is the instruction after the call. */
	if (r->vector == DEBUG && (r->cs & 3) && is_kindling(r)) {
		r->rflags &= ~FLAG_TF;
		regs_resume(r);
	}
	if ((r->cs & 3) == 0 || is_kindling(r))
		log_line("a defect of kindling, or the program wrote to its memory: exception "
			 "%lu "
			 "at 0x%lx in ring %lu, error code 0x%lx, address 0x%lx",
			 r->vector, r->rip, r->cs & 3, r->error_code, cr2);
	else if (signal_fault(r, &e) == 0)
		regs_resume(r);
	crash_trap(r, e.number, r->vector == PAGE_FAULT ? cr2 : 0);
}
