/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer.c - a kernel of its own, in place of kindling: it arms the local APIC's timer, waits at
 * the mailbox, where it is frozen, and reports when the interrupt came.
 *
 * argv[0] says which timer: "deadline" or "count". The reply is a struct timer_report.
 */
#include "tests/guest/kernels/timer.h"
#include "tests/guest/kernels/kernel.h"

/* x2APIC registers: SDM vol. 3A, table 10-6 */
#define APIC_BASE_MSR	 0x1bu
#define X2APIC_EOI	 0x80bu
#define X2APIC_SIVR	 0x80fu
#define X2APIC_LVT_TIMER 0x832u
#define X2APIC_INITIAL	 0x838u
#define X2APIC_DIVIDE	 0x83eu
#define TSC_DEADLINE	 0x6e0u
#define TIMER_DEADLINE	 (2u << 17) /* SDM vol. 3A, figure 10-8 */
#define VECTOR		 0x40u

static struct timer_report report;
static volatile uint64_t fired_tsc, fired;

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

void on_timer(void);
void timer_entry(void);

/* An interrupt handler keeps every register. */
__asm__(".text\n.globl timer_entry\ntimer_entry:\n"
	"	push %rax; push %rcx; push %rdx; push %rsi; push %rdi\n"
	"	push %r8; push %r9; push %r10; push %r11\n"
	"	call on_timer\n"
	"	pop %r11; pop %r10; pop %r9; pop %r8\n"
	"	pop %rdi; pop %rsi; pop %rdx; pop %rcx; pop %rax\n"
	"	iretq\n");

void on_timer(void)
{
	fired_tsc = tsc();
	fired++;
	wrmsr(X2APIC_EOI, 0);
}

static void set_tables(void)
{
	struct table g = { sizeof(gdt) - 1, gdt }, i = { sizeof(idt) - 1, idt };
	uint64_t handler = (uint64_t)&timer_entry;

	idt[VECTOR] = (struct gate){ .low = (uint16_t)handler,
				     .selector = 0x10,
				     .type = 0x8e, /* present, interrupt gate */
				     .middle = (uint16_t)(handler >> 16),
				     .high = (uint32_t)(handler >> 32) };
	__asm__ volatile("lgdt %0\n\tlidt %1" : : "m"(g), "m"(i));
}

static void arm(int deadline)
{
	wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | 0xc00); /* enabled, x2APIC */
	wrmsr(X2APIC_SIVR, 0x1ff);			    /* software enable */
	if (deadline) {
		wrmsr(X2APIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
		report.armed_tsc = tsc();
		wrmsr(TSC_DEADLINE, report.armed_tsc + TIMER_DELAY_TICKS);
	} else {
		wrmsr(X2APIC_DIVIDE, 0xb); /* by 1 */
		wrmsr(X2APIC_LVT_TIMER, VECTOR);
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
