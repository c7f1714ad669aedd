/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worst.c - a kernel of its own, in place of kindling, that leaves its machine in the worst
 * state that ring 0 can make of it, and tells what it finds at the next event (worst.h): after
 * a rewind that must be what the first one found.
 */
#include "tests/guest/kernels/worst.h"
#include "tests/guest/kernels/kernel.h"

/* x2APIC registers: SDM vol. 3A, table 10-6 */
#define APIC_BASE_MSR	 0x1bu
#define X2APIC_TPR	 0x808u
#define X2APIC_SIVR	 0x80fu
#define X2APIC_IRR2	 0x822u /* vectors 0x40 to 0x5f */
#define X2APIC_LVT_TIMER 0x832u
#define X2APIC_SELF_IPI	 0x83fu
#define TSC_DEADLINE	 0x6e0u
#define TIMER_DEADLINE	 (2u << 17) /* SDM vol. 3A, figure 10-8 */
#define VECTOR		 0x40u

#define LOOK	    0x40000000ul /* virtual: nothing else is in the second GiB */
#define PAGES_GPA   0x800000ul
#define PAGES	    64u
#define WINDOW_STEP 0x10000u

/* Architectural MSRs that every KVM has: SDM vol. 4, APM vol. 2. */
static const uint32_t msrs[WORST_MSRS_SEEN] = {
	0x174,	    /* IA32_SYSENTER_CS */
	0x175,	    /* IA32_SYSENTER_ESP */
	0x176,	    /* IA32_SYSENTER_EIP */
	0x277,	    /* IA32_PAT */
	0xc0000081, /* IA32_STAR */
	0xc0000082, /* IA32_LSTAR */
	0xc0000083, /* IA32_CSTAR */
	0xc0000084, /* IA32_FMASK */
	0xc0000102, /* IA32_KERNEL_GS_BASE */
};
#define PAT_INDEX 3u
#define PAT_OTHER 0x0006060606060606ul /* write-back, one of them uncached */

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint64_t other_pml4[512] __attribute__((aligned(4096)));
static uint64_t page_a[512] __attribute__((aligned(4096)));
static uint64_t page_b[512] __attribute__((aligned(4096)));
static uint64_t gdt[4] = { 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff };
static uint64_t events;

#define READ(reg, to)	 __asm__ volatile("mov %%" reg ", %0" : "=r"(to))
#define WRITE(reg, from) __asm__ volatile("mov %0, %%" reg : : "r"((uint64_t)(from)) : "memory")

static volatile uint64_t *page(uint64_t i)
{
	return (volatile uint64_t *)(PAGES_GPA + i * 4096);
}

static volatile uint64_t *window(uint64_t off)
{
	return (volatile uint64_t *)(ABI_MAILBOX_WINDOW_GPA + off);
}

/* LOOK maps page_a by a table of its own. */
static void map_look(void)
{
	uint64_t *pml4, *pdpt;

	READ("cr3", pml4);
	pdpt = (void *)(pml4[0] & ~0xffful);
	pdpt[LOOK >> 30] = (uint64_t)pd | 3;
	pd[0] = (uint64_t)pt | 3;
	pt[0] = (uint64_t)page_a | 3;
	for (unsigned int i = 0; i < 512; i++)
		other_pml4[i] = pml4[i];
	page_a[0] = 0xaaaa;
	page_b[0] = 0xbbbb;
}

static void look_around(struct worst_seen *s)
{
	struct table t;

	s->events = events;
	s->look = *(volatile uint64_t *)LOOK;
	s->words = 0;
	for (uint64_t i = 0; i < PAGES; i++)
		s->words += *page(i);
	s->window = 0;
	for (uint64_t off = ABI_WINDOW_LOG; off < ABI_WINDOW_EVENT; off += WINDOW_STEP)
		s->window += *window(off);
	for (uint64_t off = ABI_WINDOW_REPLY; off < ABI_WINDOW_SIZE; off += WINDOW_STEP)
		s->window += *window(off);
	for (unsigned int i = 0; i < WORST_MSRS_SEEN; i++)
		s->msr[i] = rdmsr(msrs[i]);
	READ("dr0", s->dr[0]);
	READ("dr1", s->dr[1]);
	READ("dr2", s->dr[2]);
	READ("dr3", s->dr[3]);
	READ("dr7", s->dr7);
	READ("cr3", s->cr3);
	READ("cr4", s->cr4);
	READ("cr8", s->cr8);
	__asm__ volatile("sgdt %0" : "=m"(t));
	s->gdt_limit = t.limit;
	__asm__ volatile("sidt %0" : "=m"(t));
	s->idt_limit = t.limit;
	s->lvt_timer = rdmsr(X2APIC_LVT_TIMER);
	s->deadline = rdmsr(TSC_DEADLINE);
	s->pending = rdmsr(X2APIC_IRR2);
}

static void remap(void)
{
	pt[0] = (uint64_t)page_b | 3;
	__asm__ volatile("invlpg %0" : : "m"(*(volatile uint64_t *)LOOK) : "memory");
	(void)*(volatile uint64_t *)LOOK;
}

static void change_msrs(uint64_t seed)
{
	for (unsigned int i = 0; i < WORST_MSRS_SEEN; i++)
		wrmsr(msrs[i], i == PAT_INDEX ? PAT_OTHER : 0x1000 + (seed & 0xff00));
}

static void change_debug(uint64_t seed)
{
	WRITE("dr0", 0x700000 + seed % 64 * 8);
	WRITE("dr1", seed);
	WRITE("dr2", seed + 1);
	WRITE("dr3", seed + 2);
	WRITE("dr7", 0x000d0401ul); /* dr0: on, 8 bytes, writes; bit 10 is fixed */
}

static void change_tables(void)
{
	struct table t = { sizeof(gdt) - 1, (uint64_t)gdt };

	__asm__ volatile("lgdt %0" : : "m"(t));
	t.limit = 0x123;
	__asm__ volatile("lidt %0" : : "m"(t));
	WRITE("cr3", other_pml4);
}

static void change_apic(void)
{
	WRITE("cr8", 5);
	wrmsr(X2APIC_SELF_IPI, VECTOR + 1);
}

static void do_worst(const struct worst_event *e)
{
	uint64_t seed = e->seed;

	if (e->what & WORST_PAGES)
		for (uint64_t i = 0; i < PAGES; i++)
			*page(i) = seed + i;
	if (e->what & WORST_REMAP)
		remap();
	if (e->what & WORST_MSRS)
		change_msrs(seed);
	if (e->what & WORST_TIMERS) {
		wrmsr(X2APIC_LVT_TIMER, VECTOR | TIMER_DEADLINE);
		wrmsr(TSC_DEADLINE, tsc() + seed % 4096 * 1000);
	}
	if (e->what & WORST_APIC)
		change_apic();
	if (e->what & WORST_WINDOW)
		for (uint64_t off = ABI_WINDOW_LOG; off < ABI_WINDOW_SIZE; off += WINDOW_STEP)
			*window(off) = seed + off;
	if (e->what & WORST_DEBUG)
		change_debug(seed);
	if (e->what & WORST_TABLES)
		change_tables();
	events++;
}

void kernel_main(const struct abi_boot_info *info)
{
	static struct worst_seen seen;
	volatile struct worst_seen *reply =
		(volatile struct worst_seen *)window(ABI_WINDOW_REPLY);

	(void)info;
	map_mailbox();
	map_look();
	wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | 0xc00); /* enabled, x2APIC */
	wrmsr(X2APIC_SIVR, 0x1ff);			    /* software enable */
	for (;;) {
		struct worst_event event;

		next(sizeof(seen));
		event = *(volatile struct worst_event *)window(ABI_WINDOW_EVENT);
		look_around(&seen);
		do_worst(&event);
		*reply = seen;
	}
}
