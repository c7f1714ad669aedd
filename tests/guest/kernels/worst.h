/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worst.h - what worst.c does with each event, and what it says it found. An event is a struct
 * worst_event; the reply a struct worst_seen, taken before anything is done.
 */
#pragma once

#include <stdint.h>

enum worst_what {
	WORST_PAGES = 1u << 0,	/* write to many pages */
	WORST_REMAP = 1u << 1,	/* change a page-table entry, and look through it */
	WORST_MSRS = 1u << 2,	/* SYSCALL, SYSENTER, PAT, KERNEL_GS_BASE, TSC */
	WORST_DEBUG = 1u << 3,	/* debug registers, with a breakpoint armed */
	WORST_TIMERS = 1u << 4, /* leave the deadline timer armed */
	WORST_TABLES = 1u << 5, /* another CR3, GDT and IDT */
	WORST_WINDOW = 1u << 6, /* fill the mailbox's window with garbage */
	WORST_APIC = 1u << 7,	/* priority, and a pending interrupt to itself */
	WORST_USER = 1u << 8,	/* the same in ring 3 */
	WORST_BACK = 1u << 9,	/* WORST_USER, and the entry changed back without INVLPG */
	WORST_CR3 = 1u << 10,	/* another CR3 with other, global entries, and back again */
	WORST_VECTORS = 1u << 11, /* SSE and AVX registers */
	WORST_UNKEPT = 1u << 12, /* MSRs that KVM keeps and does not list */
	WORST_MODE = 1u << 13,	/* xAPIC in place of x2APIC */
	WORST_XCR0 = 1u << 14,	/* no AVX */
	WORST_OTHER = 1u << 15, /* an entry of the other CR3's tables, looked through there */
	WORST_ALL = 0xffff,
	WORST_KINDS = 16, /* bits of it */
};

struct worst_event {
	uint32_t what; /* of enum worst_what */
	uint32_t seed; /* of what is written */
};

#define WORST_MSRS_SEEN	  9u
#define WORST_UNKEPT_SEEN 6u

struct worst_seen {
	uint64_t events; /* handled before this one */
	uint64_t look;	 /* first word of the page that the entry maps */
	uint64_t user_look; /* the same, seen from ring 3 */
	uint64_t other_look; /* and under the other CR3 */
	uint64_t words;	 /* sum over the pages that WORST_PAGES writes to */
	uint64_t msr[WORST_MSRS_SEEN];
	uint64_t unkept[WORST_UNKEPT_SEEN];
	uint64_t dr[4], dr7;
	uint64_t cr3, cr4, cr8;
	uint64_t gdt_limit, idt_limit;
	uint64_t lvt_timer, deadline, pending; /* IRR of the vector in use */
	uint64_t apic_base, xcr0;
	uint64_t sse, avx; /* of register 15: the lowest bytes, and the lowest of the upper half */
	uint64_t window;   /* sum over words of the window's reply and log areas */
};
