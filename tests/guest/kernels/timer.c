/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - a kernel of its own, in place of kindling: it arms the local APIC's timer, waits at
 * the mailbox, where it is frozen, and reports when the interrupt came.
 *
 * argv[0] says which timer: "deadline" or "count". The reply is a struct timer_report.
 */
#include "tests/guest/kernels/timer.h"
#include "tests/guest/kernels/kernel.h"

#include "tests/guest/kernels/interrupts.h"

#define X2APIC_LVT_TIMER 0x832u
#define X2APIC_INITIAL	 0x838u
#define X2APIC_DIVIDE	 0x83eu
#define TSC_DEADLINE	 0x6e0u
#define TIMER_DEADLINE	 (2u << 17) /* SDM vol. 3A, figure 10-8 */

static struct timer_report report;
static volatile uint64_t fired_tsc, fired;

void on_interrupt(uint64_t number)
{
	(void)number;
	fired_tsc = tsc();
	fired++;
	apic_write(APIC_EOI, 0);
}

static void arm(int deadline)
{
	apic_enable(1);
	if (deadline) {
		wrmsr(X2APIC_LVT_TIMER, FIRST_VECTOR | TIMER_DEADLINE);
		report.armed_tsc = tsc();
		wrmsr(TSC_DEADLINE, report.armed_tsc + TIMER_DELAY_TICKS);
	} else {
		wrmsr(X2APIC_DIVIDE, 0xb); /* by 1 */
		wrmsr(X2APIC_LVT_TIMER, FIRST_VECTOR);
		report.armed_tsc = tsc();
		wrmsr(X2APIC_INITIAL, TIMER_DELAY_COUNT);
	}
}

void kernel_main(const struct abi_boot_info *info)
{
	struct timer_report *reply =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);

	map_mailbox();
	set_tables();
	arm(*(const char *)info->strings_gpa == 'd');
	report.frozen_tsc = tsc();
	next(0); /* interrupts are off: the timer cannot be seen before this comes back */
	report.thawed_tsc = tsc();
	while (fired == 0)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	report.fired_tsc = fired_tsc;
	*reply = report;
	next(sizeof(report));
	for (;;)
		__asm__ volatile("hlt");
}
