/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worst.c - a kernel of its own, in place of kindling, that leaves its machine in the worst
 * state that ring 0 can make of it, and tells what it finds at the next event (worst.h): after
 * a rewind that must be what the first one found.
 */
#include "tests/guest/kernels/worst.h"

#include <stdbool.h>

#include "tests/guest/kernels/kernel.h"

/* IA32_APIC_BASE, SDM vol. 3A, 10.12.1, and x2APIC registers, table 10-6 */
#define APIC_BASE_MSR	 0x1bu
#define APIC_ENABLED	 0x800u
#define APIC_X2APIC	 0x400u
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
/* Machine-check bank 0 and 1, a variable and a fixed MTRR and the default type, OSVW. */
static const uint32_t unkept[WORST_UNKEPT_SEEN] = { 0x402, 0x406, 0x200,
						    0x250, 0x2ff, 0xc0010140 };
#define PAT_INDEX 3u
#define PAT_OTHER 0x0006060606060606ul /* write-back, one of them uncached */

/* Descriptors at Linux's selectors, which the VMM uses. SDM vol. 3A, 3.4.5 and 7.2.3 */
#define TSS_INDEX 8u
/* Of a page-table entry: present, writable, ring 3 may; accessed and dirty, so that no use changes
 * it; global. SDM vol. 3A, 4.5 */
#define ENTRY  0x67ul
#define GLOBAL 0x100ul

struct table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

static uint64_t pd[512] __attribute__((aligned(4096)));
static uint64_t pt[512] __attribute__((aligned(4096)));
static uint64_t other_pml4[512] __attribute__((aligned(4096)));
static uint64_t other_pdpt[512] __attribute__((aligned(4096)));
static uint64_t other_pd[512] __attribute__((aligned(4096)));
static uint64_t other_pt[512] __attribute__((aligned(4096)));
static uint64_t page_a[512] __attribute__((aligned(4096)));
static uint64_t page_b[512] __attribute__((aligned(4096)));
static uint64_t gdt[16] = { [2] = 0x00af9b000000ffff,
			    [3] = 0x00cf93000000ffff,
			    [5] = 0x00cff3000000ffff,
			    [6] = 0x00affb000000ffff };
static uint64_t idt[32][2];
static uint8_t tss[0x68];
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

/* ---- page tables ---- */

static void open_table(uint64_t *table)
{
	for (unsigned int i = 0; i < 512; i++) {
		if (table[i] & 1)
			table[i] |= ENTRY;
	}
}

static void copy_table(uint64_t *to, const uint64_t *from)
{
	for (unsigned int i = 0; i < 512; i++)
		to[i] = from[i];
}

/* LOOK maps page_a by a table of its own, and page_b under another CR3. Ring 3 may use all. */
static void map_look(void)
{
	uint64_t *pml4, *pdpt;

	READ("cr3", pml4);
	pdpt = (void *)(pml4[0] & ~0xffful);
	pdpt[LOOK >> 30] = (uint64_t)pd | ENTRY;
	pd[0] = (uint64_t)pt | ENTRY;
	pt[0] = (uint64_t)page_a | ENTRY;
	open_table((uint64_t *)(pdpt[0] & ~0xffful));
	open_table((uint64_t *)(pdpt[3] & ~0xffful));
	open_table(pdpt);
	open_table(pml4);
	copy_table(other_pml4, pml4);
	copy_table(other_pdpt, pdpt);
	other_pml4[0] = (uint64_t)other_pdpt | ENTRY;
	other_pdpt[LOOK >> 30] = (uint64_t)other_pd | ENTRY;
	other_pd[0] = (uint64_t)other_pt | ENTRY;
	other_pt[0] = (uint64_t)page_b | ENTRY | GLOBAL;
	page_a[0] = 0xaaaa;
	page_b[0] = 0xbbbb;
	/* Whatever was looked up before. */
	WRITE("cr3", pml4);
}

/* ---- traps, and ring 3 ---- */

/*
 * Every exception goes on at landing_ip with the stack of landing_sp: no IRET to ring 0, which
 * not every host emulates. enter_user calls user_main(*RDI) in ring 3, on a stack of its own,
 * until that ends in an exception.
 */
uint64_t landing_ip, landing_sp;
void trap_land(void);
void enter_user(void *job);
void user_main(void *job);
__asm__(".text\ntrap_land:\n"
	"	mov landing_sp, %rsp\n	jmp *landing_ip\n"
	"enter_user:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push "
	"%r14\n	push %r15\n"
	"	mov %rsp, landing_sp\n	movq $1f, landing_ip\n"
	"	pushq $0x2b\n	pushq $user_stack_top - 8\n	pushq $2\n	pushq $0x33\n"
	"	pushq $user_main\n	iretq\n"
	"1:	mov $0x18, %eax\n	mov %eax, %ss\n	mov %eax, %ds\n	mov %eax, %es\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop "
	"%rbp\n	pop %rbx\n	ret\n"
	".bss\n.balign 16\n	.skip 4096\nuser_stack_top:\n"
	"	.skip 4096\ntrap_stack_top:\n.text\n");
extern uint8_t trap_stack_top[];

static void load_tables(void)
{
	struct table t = { TSS_INDEX * 8 + 15, (uint64_t)gdt };
	uint64_t base = (uint64_t)tss, land = (uint64_t)trap_land;

	*(uint64_t *)(void *)(tss + 4) = (uint64_t)trap_stack_top; /* RSP0 */
	/* 0x89: an available TSS; 0x8e: an interrupt gate of ring 0. */
	gdt[TSS_INDEX] = 0x67 | (base & 0xffffff) << 16 | 0x89ul << 40 | (base >> 24) << 56;
	for (unsigned int i = 0; i < 32; i++)
		idt[i][0] = (land & 0xffff) | 0x10ul << 16 | 0x8eul << 40 | (land >> 16) << 48;
	__asm__ volatile("lgdt %0" : : "m"(t));
	t = (struct table){ sizeof(idt) - 1, (uint64_t)idt };
	__asm__ volatile("lidt %0" : : "m"(t));
	__asm__ volatile("ltr %w0" : : "r"(TSS_INDEX * 8));
}

/* False: the processor refused. */
static bool try_wrmsr(uint32_t msr, uint64_t value)
{
	bool done;

	__asm__ volatile("	mov %%rsp, landing_sp\n	movq $1f, landing_ip\n"
			 "	xor %%edi, %%edi\n	wrmsr\n	inc %%edi\n1:"
			 : "=D"(done)
			 : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
			 : "memory", "cc");
	return done;
}

/* All ones: the processor refused. */
static uint64_t try_rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("	mov %%rsp, landing_sp\n	movq $1f, landing_ip\n"
			 "	mov $-1, %%eax\n	mov %%eax, %%edx\n	rdmsr\n1:"
			 : "=a"(low), "=d"(high)
			 : "c"(msr)
			 : "memory", "cc");
	return low | (uint64_t)high << 32;
}

enum user_what { USER_SEE, USER_LOOK, USER_ENTRY, USER_OTHER, USER_VECTORS };

struct user_job {
	enum user_what what;
	uint64_t value;
	uint64_t look, xcr0, sse, avx;
};

static void user_see(struct user_job *job)
{
	uint32_t low, high;
	uint64_t half[2] = { 0 };

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	job->xcr0 = low | (uint64_t)high << 32;
	__asm__ volatile("movups %%xmm15, %0" : "=m"(half));
	job->sse = half[0];
	if (job->xcr0 & 4)
		__asm__ volatile("vextractf128 $1, %%ymm15, %0" : "=m"(half));
	job->avx = half[0];
}

static void user_vectors(const struct user_job *job)
{
	uint64_t all[4] = { job->value, job->value + 1, job->value + 2, job->value + 3 };
	uint32_t low, high;

	__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	if (low & 4)
		__asm__ volatile("vmovups %0, %%ymm15" : : "m"(all));
	else
		__asm__ volatile("movups %0, %%xmm15" : : "m"(all));
}

void user_main(void *arg)
{
	struct user_job *job = arg;

	if (job->what == USER_ENTRY)
		*(volatile uint64_t *)&pt[0] = job->value;
	if (job->what == USER_OTHER)
		*(volatile uint64_t *)&other_pt[0] = job->value;
	if (job->what == USER_VECTORS)
		user_vectors(job);
	if (job->what == USER_SEE)
		user_see(job);
	job->look = *(volatile uint64_t *)LOOK;
	__asm__ volatile("ud2");
}

static struct user_job in_user(enum user_what what, uint64_t value)
{
	static struct user_job job;

	job = (struct user_job){ .what = what, .value = value };
	enter_user(&job);
	return job;
}

/* ---- what it does and sees ---- */

/* What ring 3 sees under the other CR3. */
static uint64_t go_and_come_back(void)
{
	uint64_t cr3, look;

	READ("cr3", cr3);
	WRITE("cr3", other_pml4);
	look = in_user(USER_LOOK, 0).look;
	WRITE("cr3", cr3);
	return look;
}

static void look_around(struct worst_seen *s)
{
	struct user_job user = in_user(USER_SEE, 0);
	struct table t;

	s->events = events;
	s->user_look = user.look;
	s->other_look = go_and_come_back();
	s->xcr0 = user.xcr0;
	s->sse = user.sse;
	s->avx = user.avx;
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
	for (unsigned int i = 0; i < WORST_UNKEPT_SEEN; i++)
		s->unkept[i] = try_rdmsr(unkept[i]);
	s->apic_base = rdmsr(APIC_BASE_MSR);
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
	pt[0] = (uint64_t)page_b | ENTRY;
	__asm__ volatile("invlpg %0" : : "m"(*(volatile uint64_t *)LOOK) : "memory");
	(void)*(volatile uint64_t *)LOOK;
}

/* Written to and looked through in ring 3, where hosts that emulate ring 0 do neither. */
static void remap_user(void)
{
	in_user(USER_ENTRY, (uint64_t)page_b | ENTRY);
	__asm__ volatile("invlpg %0" : : "m"(*(volatile uint64_t *)LOOK) : "memory");
	in_user(USER_LOOK, 0);
}

static void change_msrs(uint64_t seed)
{
	for (unsigned int i = 0; i < WORST_MSRS_SEEN; i++)
		try_wrmsr(msrs[i], i == PAT_INDEX ? PAT_OTHER : 0x1000 + (seed & 0xff00));
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
	t = (struct table){ 0x123, (uint64_t)idt };
	__asm__ volatile("lidt %0" : : "m"(t));
	WRITE("cr3", other_pml4);
}

static void change_apic(void)
{
	WRITE("cr8", 5);
	wrmsr(X2APIC_SELF_IPI, VECTOR + 1);
}

/* By way of "off", as the processor wants it. */
static void change_mode(void)
{
	uint64_t base = rdmsr(APIC_BASE_MSR) & ~(uint64_t)(APIC_ENABLED | APIC_X2APIC);

	wrmsr(APIC_BASE_MSR, base);
	wrmsr(APIC_BASE_MSR, base | APIC_ENABLED);
}

static void change_xcr0(void)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"(3), "d"(0)); /* x87 and SSE */
}

static void do_more(const struct worst_event *e)
{
	if (e->what & (WORST_USER | WORST_BACK))
		remap_user();
	if (e->what & WORST_BACK)
		in_user(USER_ENTRY, (uint64_t)page_a | ENTRY);
	if (e->what & WORST_OTHER)
		in_user(USER_OTHER, (uint64_t)page_a | ENTRY);
	if (e->what & (WORST_CR3 | WORST_OTHER))
		go_and_come_back();
	if (e->what & WORST_VECTORS)
		in_user(USER_VECTORS, e->seed);
	if (e->what & WORST_UNKEPT)
		for (unsigned int i = 0; i < WORST_UNKEPT_SEEN; i++)
			try_wrmsr(unkept[i], e->seed & 0x6);
	if (e->what & WORST_MODE)
		change_mode();
	if (e->what & WORST_XCR0)
		change_xcr0();
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
	do_more(e);
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
	load_tables();
	wrmsr(APIC_BASE_MSR, rdmsr(APIC_BASE_MSR) | APIC_ENABLED | APIC_X2APIC);
	wrmsr(X2APIC_SIVR, 0x1ff); /* software enable */
	in_user(USER_LOOK, 0);	   /* leaves segments as it does each time */
	for (;;) {
		struct worst_event event;

		next(sizeof(seen));
		event = *(volatile struct worst_event *)window(ABI_WINDOW_EVENT);
		look_around(&seen);
		do_worst(&event);
		*reply = seen;
	}
}
