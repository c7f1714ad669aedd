/* SPDX-License-Identifier: Apache-2.0 */
/*
 * interrupts.h - for kernels of this folder that take interrupts: tables, a handler for a few
 * vectors, the local APIC. on_interrupt is the kernel's.
 */
#pragma once

#include <stdint.h>

#include "tests/guest/kernels/kernel.h"

/* x2APIC registers: SDM vol. 3A, table 10-6. The page of an xAPIC has each 16 bytes further. */
#define APIC_BASE_MSR 0x1bu
#define X2APIC	      0x800u
#define APIC_EOI      0x0bu
#define APIC_SIVR     0x0fu
#define APIC_GPA      0xfee00000u

#define FIRST_VECTOR 0x40u
#define NVECTORS     4u

/* @number: of the vector, from FIRST_VECTOR on. */
void on_interrupt(uint64_t number);

struct gate {
	uint16_t low, selector;
	uint8_t ist, type;
	uint16_t middle;
	uint32_t high, reserved;
};
struct table {
	uint16_t limit;
	const void *base;
} __attribute__((packed));

/* An interrupt handler keeps every register. The entries are 16 bytes each. */
extern const char interrupt_entries[];
__asm__(".text\n.balign 16\ninterrupt_entries:\n"
	"	.set number, 0\n	.rept 4\n	.balign 16\n"
	"	push $number\n	jmp interrupt_common\n"
	"	.set number, number + 1\n	.endr\n"
	"interrupt_common:\n"
	"	push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
	"	push %r8; push %r9; push %r10; push %r11\n"
	"	mov 72(%rsp), %rdi\n	call on_interrupt\n"
	"	pop %r11; pop %r10; pop %r9; pop %r8\n"
	"	pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
	"	add $8, %rsp\n	iretq\n");

static inline void set_tables(void)
{
	static struct gate idt[FIRST_VECTOR + NVECTORS];
	static const uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
	struct table g = { sizeof(gdt) - 1, gdt }, i = { sizeof(idt) - 1, idt };

	for (uint32_t n = 0; n < NVECTORS; n++) {
		uint64_t entry = (uint64_t)interrupt_entries + n * 16;

		idt[FIRST_VECTOR + n] =
			(struct gate){ .low = (uint16_t)entry,
				       .selector = 0x10,
				       .type = 0x8e, /* present, interrupt gate */
				       .middle = (uint16_t)(entry >> 16),
				       .high = (uint32_t)(entry >> 32) };
	}
	__asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(g), "m"(i));
}

/* Each has it in the way that it was enabled. */
static inline int apic_is_x2(void)
{
	return rdmsr(APIC_BASE_MSR) & 0x400;
}

static inline void apic_write(uint32_t reg, uint32_t value)
{
	if (apic_is_x2())
		wrmsr(X2APIC + reg, value);
	else
		*(volatile uint32_t *)(uintptr_t)(APIC_GPA + reg * 16) = value;
}

/* An xAPIC is there after map_mailbox() only: it lies in the same GiB. */
static inline void apic_enable(int x2)
{
	wrmsr(APIC_BASE_MSR, (rdmsr(APIC_BASE_MSR) & ~UINT64_C(0xc00)) | 0x800);
	if (x2)
		wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | 0xc00);
	apic_write(APIC_SIVR, 0x1ff); /* software enable */
}

/* Interrupts are off but while this waits for one. */
static inline void wait_for_interrupt(void)
{
	__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}
