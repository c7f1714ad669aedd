/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pins.c - a kernel of its own, in place of kindling: it does with the IOAPIC as it is told
 * (pins.h), and counts the interrupts that come. They are off but for the orders that take some. argv[0]: "x2apic", else its local APIC is in memory.
 */
#include "tests/guest/kernels/pins.h"
#include "tests/guest/kernels/kernel.h"

#include "tests/guest/kernels/interrupts.h"

#define IOAPIC_GPA    0xfec00000u
#define IOAPIC_SELECT (*(volatile uint32_t *)(uintptr_t)IOAPIC_GPA)
#define IOAPIC_WINDOW (*(volatile uint32_t *)(uintptr_t)(IOAPIC_GPA + 0x10))

static volatile uint32_t taken;
static volatile int is_serving, is_telling;

static void port(void)
{
	__asm__ volatile("outb %%al, %0" : : "i"(PINS_PORT) : "memory");
}

void on_interrupt(uint64_t number)
{
	(void)number;
	taken++;
	if (is_telling)
		port();
	if (is_serving)
		apic_write(APIC_EOI, 0);
}

/* Where ring 0 is emulated, interrupts come at an exit, not in between a few instructions. */
static void let_come(int serving)
{
	is_serving = serving;
	is_telling = 1;
	__asm__ volatile("sti" : : : "memory");
	for (int i = 0; i < 8; i++)
		__asm__ volatile("inb %0" : : "i"(PINS_PORT) : "eax", "memory");
	__asm__ volatile("cli" : : : "memory");
}

static void wait_for(uint32_t n)
{
	uint32_t until = taken + n;

	is_serving = 1;
	is_telling = 0;
	while ((int32_t)(taken - until) < 0)
		wait_for_interrupt();
}

static uint32_t obey(const struct pins_order *o)
{
	switch ((enum pins_what)o->what) {
	case PINS_WRITE:
		IOAPIC_SELECT = o->reg;
		IOAPIC_WINDOW = o->value;
		return 0;
	case PINS_READ:
		IOAPIC_SELECT = o->reg;
		return IOAPIC_WINDOW;
	case PINS_TAKE:
	case PINS_SERVE:
		let_come(o->what == PINS_SERVE);
		return 0;
	case PINS_END:
		apic_write(APIC_EOI, 0);
		return 0;
	case PINS_WAIT:
		wait_for(o->value);
		return 0;
	}
	return 0;
}

void kernel_main(const struct abi_boot_info *info)
{
	struct pins_report *report =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);
	const struct pins_order *order =
		(const void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT);
	int x2 = ((const char *)info->strings_gpa)[1] == '2';

	map_mailbox();
	set_tables();
	apic_enable(x2);
	next(0);
	for (;;) {
		report->value = obey(order);
		report->taken = taken;
		next(sizeof(*report));
	}
}
