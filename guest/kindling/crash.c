/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/crash.h"

#include <linux/signal.h>

#include "guest/kindling/entry.h"
#include "guest/kindling/log.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/regs.h"

#define VECTOR_PAGE_FAULT 14u

/* The signal that Linux sends for each exception; where none is named here, SIGSEGV. */
static const uint8_t signals[32] = {
	[0] = SIGFPE,  /* #DE */
	[1] = SIGTRAP, /* #DB */
	[3] = SIGTRAP, /* #BP */
	[6] = SIGILL,  /* #UD */
	[11] = SIGBUS, /* #NP */
	[12] = SIGBUS, /* #SS */
	[16] = SIGFPE, /* #MF */
	[17] = SIGBUS, /* #AC */
	[19] = SIGFPE, /* #XM */
};

static uint64_t fs_base(void)
{
	uint64_t base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

static _Noreturn void crash_report(const struct regs *r, uint32_t signal, uint64_t address)
{
	volatile struct abi_crash *c = &mailbox()->crash;

	c->signal = signal;
	c->vector = (uint32_t)r->vector;
	c->error_code = r->error_code;
	c->address = address;
	c->rip = r->rip;
	c->rsp = r->rsp;
	c->rflags = r->rflags;
	c->rax = r->rax;
	c->rbx = r->rbx;
	c->rcx = r->rcx;
	c->rdx = r->rdx;
	c->rsi = r->rsi;
	c->rdi = r->rdi;
	c->rbp = r->rbp;
	c->r8 = r->r8;
	c->r9 = r->r9;
	c->r10 = r->r10;
	c->r11 = r->r11;
	c->r12 = r->r12;
	c->r13 = r->r13;
	c->r14 = r->r14;
	c->r15 = r->r15;
	c->fs_base = fs_base();
	for (;;)
		mailbox_ring(ABI_DOORBELL_CRASH);
}

void crash_trap(struct regs *r, uint64_t cr2)
{
	uint64_t vector = r->vector;

	if ((r->cs & 3) == 0 || (r->rip >= LAYOUT_KERNEL && r->rip < LAYOUT_KERNEL_END))
		log_line("a defect of kindling: exception %lu at 0x%lx in ring %lu, error code "
			 "0x%lx, address 0x%lx",
			 vector, r->rip, r->cs & 3, r->error_code, cr2);
	crash_report(r, signals[vector] ? signals[vector] : SIGSEGV,
		     vector == VECTOR_PAGE_FAULT ? cr2 : 0);
}

void crash_signal(const struct regs *r, uint32_t signal)
{
	crash_report(r, signal, 0);
}
