/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel.h - what the kernels of this folder share: an entry with a stack, a way to the mailbox
 * in memory and to its doorbells, a few instructions. One C file includes it in each kernel.
 */
#pragma once

#include <stdint.h>

#include "guest/abi.h"

void kernel_main(const struct abi_boot_info *info);

/* RSI has the boot information. */
__asm__(".text\n.globl _start\n_start:\n"
	"	mov $stack_top, %rsp\n	mov %rsi, %rdi\n	call kernel_main\n"
	".bss\n.balign 16\n	.skip 4096\nstack_top:\n.text\n");

#define MAILBOX ((struct abi_mailbox *)(uintptr_t)ABI_MAILBOX_WINDOW_GPA)

/* The VMM maps the first GiB; the mailbox lies in the fourth. */
static inline void map_mailbox(void)
{
	static uint64_t pd[512] __attribute__((aligned(4096)));
	uint64_t *pml4, *pdpt;

	for (uint64_t i = 0; i < 512; i++)
		pd[i] = (UINT64_C(3) << 30 | i << 21) | 0x83; /* present, writable, 2 MiB */
	__asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
	pdpt = (void *)(pml4[0] & ~UINT64_C(0xfff));
	pdpt[3] = (uint64_t)pd | 3;
}

static inline void ring(uint32_t doorbell)
{
	*(volatile uint32_t *)(uintptr_t)(ABI_MAILBOX_REGS_GPA + doorbell) = 0;
}

/* Hand over a reply and wait for the next event. */
static inline void next(uint64_t reply_size)
{
	*(volatile uint64_t *)&MAILBOX->reply_size = reply_size;
	ring(ABI_DOORBELL_NEXT);
}

static inline void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile("wrmsr"
			 :
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static inline uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}
