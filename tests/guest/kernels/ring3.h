/* SPDX-License-Identifier: Apache-2.0 */
/* ring3.h - for kernels of this folder that run in ring 3, which every KVM lets run by itself. */
#pragma once

#include "tests/guest/kernels/kernel.h"

/* All that is mapped: the first GiB by the VMM, the fourth by map_mailbox. SDM vol. 3A, 4.5 */
static inline void open_pages(void)
{
	const uint64_t user = 4, address = ~UINT64_C(0xfff);
	uint64_t *pml4, *pdpt;

	__asm__ volatile("mov %%cr3, %0" : "=r"(pml4));
	pdpt = (void *)(pml4[0] & address);
	pml4[0] |= user;
	for (uint32_t i = 0; i < 4; i += 3) {
		uint64_t *pd = (void *)(pdpt[i] & address);

		pdpt[i] |= user;
		for (uint32_t k = 0; k < 512; k++)
			pd[k] |= user;
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(pml4) : "memory");
}

/* Selectors as Linux has them, which a KVM without hardware may count on. Ports are open: IOPL is 3. */
static inline void enter_ring3(void (*main)(void))
{
	static const uint64_t gdt[7] = { [2] = 0x00af9b000000ffff,
					 [3] = 0x00cf93000000ffff,
					 [5] = 0x00cff3000000ffff,
					 [6] = 0x00affb000000ffff };
	static uint8_t stack[16384] __attribute__((aligned(16)));
	const struct {
		uint16_t limit;
		const void *base;
	} __attribute__((packed)) g = { sizeof(gdt) - 1, gdt };

	__asm__ volatile("lgdt %0\n\t"
			 "push $0x2b\n\tpush %1\n\tpush $0x3002\n\tpush $0x33\n\tpush %2\n\t"
			 "iretq"
			 :
			 : "m"(g), "r"(stack + sizeof(stack) - 8), "r"(main)
			 : "memory");
}
