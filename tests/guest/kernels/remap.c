/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remap.c - a kernel of its own, in place of kindling, that lives in ring 3, with its page tables
 * in reach: what it sees goes through the translations that the CPU or KVM keeps, on every kind
 * of host. An event is one byte; the reply is 8 bytes, the first word of the page that it sees
 * at LOOK.
 *
 *	'r'	let LOOK be page_b instead of page_a, then look
 *	'l'	look
 *	'a'	look, and ring by another entry than else, which nobody used before
 */
#include "tests/guest/kernels/kernel.h"

#define LOOK  0x40000000ul /* virtual: nothing else is in the second GiB */
#define ALIAS 0x40001000ul /* the mailbox's registers */
/* Of a page-table entry: ring 3 may; accessed and dirty, so that no use changes it. SDM vol. 3A,
 * 4.5 */
#define USER 0x64ul

static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint64_t page_a[512] __attribute__((aligned(4096)));
static uint64_t page_b[512] __attribute__((aligned(4096)));
static uint8_t stack[4096] __attribute__((aligned(16)));
/* Flat segments of ring 3, at Linux's selectors: 0x2b data, 0x33 code. SDM vol. 3A, 3.4.5 */
static uint64_t gdt[7] = { [5] = 0x00cff3000000ffff, [6] = 0x00affb000000ffff };

static void open_table(uint64_t *table)
{
	for (unsigned int i = 0; i < 512; i++) {
		if (table[i] & 1)
			table[i] |= USER;
	}
}

static void map_all(void)
{
	uint64_t *pml4, *pdpt;

	map_mailbox();
	__asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
	pdpt = (void *)(pml4[0] & ~0xffful);
	pdpt[LOOK >> 30] = (uint64_t)pd | 3;
	pd[0] = (uint64_t)pt | 3 | USER;
	pt[0] = (uint64_t)page_a | 3 | USER;
	pt[1] = ABI_MAILBOX_REGS_GPA | 7; /* ring 3 may; neither accessed nor dirty */
	open_table((uint64_t *)(pdpt[0] & ~0xffful));
	open_table((uint64_t *)(pdpt[3] & ~0xffful));
	open_table(pdpt);
	open_table(pml4);
	page_a[0] = 0xaaaa;
	page_b[0] = 0xbbbb;
	/* Whatever was looked up before. */
	__asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
}

static void user_main(void)
{
	volatile uint64_t *reply =
		(volatile uint64_t *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);
	const volatile char *event =
		(const volatile char *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT);
	uint64_t regs = ABI_MAILBOX_REGS_GPA;

	for (;;) {
		*(volatile uint64_t *)&MAILBOX->reply_size = 8;
		*(volatile uint32_t *)(regs + ABI_DOORBELL_NEXT) = 0;
		if (*event == 'r')
			*(volatile uint64_t *)&pt[0] = (uint64_t)page_b | 3 | USER;
		regs = *event == 'a' ? ALIAS : ABI_MAILBOX_REGS_GPA;
		*reply = *(volatile uint64_t *)LOOK;
	}
}

void kernel_main(const struct abi_boot_info *info)
{
	struct {
		uint16_t limit;
		uint64_t *base;
	} __attribute__((packed)) g = { sizeof(gdt) - 1, gdt };

	(void)info;
	map_all();
	/* ss, rsp, rflags, cs, rip */
	__asm__ volatile(
		"lgdt %0\n\tpush $0x2b\n\tpush %1\n\tpush $2\n\tpush $0x33\n\tpush %2\n"
		"\tiretq"
		:
		: "m"(g), "r"(stack + sizeof(stack) - 8), "r"((uint64_t)user_main)
		: "memory");
	__builtin_unreachable();
}
