/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - where things lie in a kindling guest's virtual memory, and the numbers that
 * assembly needs from guest/abi.h (checked against it in main.c). Read by C and by assembly.
 *
 * Everything is in the lower half: a paravirtual host may keep the upper half for itself.
 * docs/kindling.md draws the whole map.
 */
#pragma once

#ifdef __ASSEMBLER__
#define LAYOUT_NUMBER(n) n
#else
#define LAYOUT_NUMBER(n) n##ul
#endif

#define LAYOUT_PAGE	 LAYOUT_NUMBER(0x1000)
#define LAYOUT_HUGE_PAGE LAYOUT_NUMBER(0x200000)

/* Fixed-address programs; the first 64 KiB stay empty, so that null pointers fault. */
#define LAYOUT_PROGRAM_MIN LAYOUT_NUMBER(0x10000)
#define LAYOUT_PROGRAM_MAX LAYOUT_NUMBER(0x8000000000)

/* Position-independent programs: always the same place, aligned to a large page. */
#define LAYOUT_PIE LAYOUT_NUMBER(0x555555600000)

/* All RAM by physical address, for kindling's own use. */
#define LAYOUT_DIRECT LAYOUT_NUMBER(0x7e8000000000)

/* The stack grows down from here, at most 8 MiB; nothing is mapped below it. */
#define LAYOUT_STACK_TOP LAYOUT_NUMBER(0x7f0000e00000)
#define LAYOUT_STACK_MAX LAYOUT_NUMBER(0x800000)

/* The arena, for brk (from the bottom) and mmap (from the top). */
#define LAYOUT_ARENA LAYOUT_NUMBER(0x7f0001000000)

/* Physical 0 to 2 MiB with kindling in it, then the doorbells, then the mailbox window. It is
 * the first entry of its page directory pointer table: see boot_pml4 in boot.S. */
#define LAYOUT_KERNEL	  LAYOUT_NUMBER(0x7f8000000000)
#define LAYOUT_KERNEL_END LAYOUT_NUMBER(0x7f8000200000)
#define LAYOUT_REGS	  LAYOUT_NUMBER(0x7f8000200000)
#define LAYOUT_WINDOW	  LAYOUT_NUMBER(0x7f8000400000)

/* Selectors, as Linux has them: programs may look. */
#define LAYOUT_KERNEL_CS 0x10
#define LAYOUT_KERNEL_SS 0x18
#define LAYOUT_USER_SS	 0x2b
#define LAYOUT_USER_CS	 0x33
#define LAYOUT_TSS	 0x40

#define LAYOUT_SERVE_STACK 16384 /* ours: system calls; the deepest path takes under 6 KiB */
#define LAYOUT_TRAP_STACK  8192 /* ours: an exception's frame, the crash report or a handler's */

/* guest/abi.h in assembly's words. */
#define LAYOUT_REGS_GPA		  0xd0000000
#define LAYOUT_WINDOW_GPA	  0xd0200000
#define LAYOUT_DOORBELL_NEXT	  0
#define LAYOUT_MAILBOX_EVENT_SIZE 128
#define LAYOUT_MAILBOX_FIRST_TSC  2048
#define LAYOUT_MAILBOX_REPLY_SIZE 2056
#define LAYOUT_WINDOW_EVENT	  0x200000
#define LAYOUT_WINDOW_REPLY	  0x800000
#define LAYOUT_REPLY_MAX	  0x600000
