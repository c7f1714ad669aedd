/* SPDX-License-Identifier: Apache-2.0 */
/*
 * still.c - a kernel of its own, in place of kindling, that does nothing in ring 3 but wait for the next event.
 * Interrupts of the board's first virtio device reach its local APIC, and wait there for ever.
 */
#include "devices/board.h"
#include "tests/guest/kernels/kernel.h"
#include "tests/guest/kernels/ring3.h"

#define APIC_SIVR 0xf0u /* SDM vol. 3A, table 11-1 */

static void write_reg(uint64_t gpa, uint32_t value)
{
	*(volatile uint32_t *)(uintptr_t)gpa = value;
}

static void ring3_main(void)
{
	for (;;)
		next(0);
}

void kernel_main(const struct abi_boot_info *info)
{
	(void)info;
	map_mailbox();
	write_reg(BOARD_LAPIC_GPA + APIC_SIVR, 0x1ff);
	write_reg(BOARD_IOAPIC_GPA, 0x10 + 2 * BOARD_VIRTIO_GSI);
	write_reg(BOARD_IOAPIC_GPA + 0x10, 0x50);
	open_pages();
	enter_ring3(ring3_main);
}
