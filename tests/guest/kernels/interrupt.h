/* SPDX-License-Identifier: Apache-2.0 */
/* interrupt.h - for kernels of this folder that take interrupts: one vector, one handler, in C. */
#pragma once

#include "tests/guest/kernels/kernel.h"

/* x2APIC registers: SDM vol. 3A, table 10-6 */
#define APIC_BASE_MSR 0x1bu
#define X2APIC_EOI    0x80bu
#define X2APIC_SIVR   0x80fu
#define VECTOR	      0x40u

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};
struct table {
	uint16_t limit;
	void *base;
} __attribute__((packed));

static struct gate idt[VECTOR + 1];
static uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };

void on_interrupt(void);
void interrupt_entry(void);

/* An interrupt handler keeps every register. */
__asm__(".text\n.globl interrupt_entry\ninterrupt_entry:\n"
	"	push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
	"	push %r8; push %r9; push %r10; push %r11\n"
	"	call on_interrupt\n"
	"	pop %r11; pop %r10; pop %r9; pop %r8\n"
	"	pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
	"	iretq\n");

/* The handler, and the local APIC: enabled, x2APIC. */
static inline void take_interrupts(void)
{
	struct table g = { sizeof(gdt) - 1, gdt }, i = { sizeof(idt) - 1, idt };
	uint64_t handler = (uint64_t)&interrupt_entry;

	idt[VECTOR] = (struct gate){ .low = (uint16_t)handler,
				     .selector = 0x10,
				     .type = 0x8e, /* present, interrupt gate */
				     .middle = (uint16_t)(handler >> 16),
				     .high = (uint32_t)(handler >> 32) };
	__asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(g), "m"(i));
	wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | 0xc00);
	wrmsr(X2APIC_SIVR, 0x1ff);
}

/* Interrupts are off but while this waits for one. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}
