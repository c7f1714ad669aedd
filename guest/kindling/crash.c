/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/crash.h"

#include "guest/kindling/mailbox.h"
#include "guest/kindling/regs.h"

static uint64_t fs_base(void)
{
	uint64_t base;

	__asm__ volatile("rdfsbase %0" : "=r"(base));
	return base;
}

void crash_trap(const struct regs *r, uint32_t signal, uint64_t address)
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

void crash_signal(const struct regs *r, uint32_t signal)
{
	crash_trap(r, signal, 0);
}
