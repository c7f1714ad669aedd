/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */
/*
 * abi.h - what the host and a guest agree on: where things lie in guest-physical memory, what
 * a kindling guest finds when it boots, and the mailbox. Shared by both sides, so it includes
 * nothing of ours. docs/mailbox.md is the same contract in words.
 *
 * Everything is little-endian. Addresses are guest-physical. The host never trusts a field
 * that the guest can write: it copies it once and checks the copy.
 */
#pragma once

#include <stdint.h>

/* ---- guest-physical layout ---- */

#define ABI_BOOT_INFO_GPA  0x7000u     /* struct abi_boot_info; one page */
#define ABI_KERNEL_GPA	   0x100000u   /* kindling is linked to be loaded here */
#define ABI_KERNEL_MAX_GPA 0x200000u   /* kindling, its tables and stacks end before this */
#define ABI_RAM_MIN_SIZE   0x1000000u  /* 16 MiB: kindling, a program and some heap */
#define ABI_RAM_MAX_SIZE   0xc0000000u /* 3 GiB: the hole for devices follows */

#define ABI_MAILBOX_REGS_GPA                                                                   \
	0xd0000000u /* one page of write-only doorbells, no memory behind */
#define ABI_MAILBOX_WINDOW_GPA 0xd0200000u /* struct abi_mailbox, then the data areas */

/* ---- what kindling boots with: GPA of this struct in RSI, 64-bit mode, CPL 0 ---- */

#define ABI_BOOT_MAGIC	 0x746f6f6277616874ull /* "thawboot" */
#define ABI_BOOT_VERSION 1u

enum abi_boot_mode {
	ABI_MODE_EVENTS = 0,   /* build and run: fd 3 and 4 work, fd 0 is empty */
	ABI_MODE_TERMINAL = 1, /* boot: fds 0 to 2 are the host's terminal */
};

/*
 * The VMM enters kindling with an identity mapping of the first GiB (2 MiB pages), flat
 * 64-bit segments, interrupts off, CR4 = PAE PGE OSFXSR OSXMMEXCPT FSGSBASE OSXSAVE,
 * EFER = SCE LME LMA NXE, and XCR0 already set: ring 0 cannot set it on every host.
 */
struct abi_boot_info {
	uint64_t magic;
	uint32_t version;
	uint32_t mode;	      /* enum abi_boot_mode */
	uint64_t ram_size;    /* bytes of RAM, one region from address 0; a multiple of 2 MiB */
	uint64_t program_gpa; /* the program's ELF file; page aligned */
	uint64_t program_size; /* bytes */
	uint64_t files_gpa;    /* newc cpio archives, one after the other; page aligned */
	uint64_t files_size;   /* bytes; 0: no files */
	uint64_t strings_gpa; /* argc + envc NUL-terminated strings, argv first; page aligned */
	uint64_t strings_size; /* bytes */
	uint32_t argc;	       /* at least 1; argv[0] is the program's name */
	uint32_t envc;
};

/* ---- the mailbox ---- */

/*
 * Doorbells: a 4-byte write of any value at ABI_MAILBOX_REGS_GPA + offset. The parameters are
 * in the window; the host reads them after the write has stopped the vCPU, and results are in
 * the window when the next instruction runs.
 */
#define ABI_DOORBELL_NEXT  0x00u /* hand over reply_size bytes of reply; wait for an event */
#define ABI_DOORBELL_LOG   0x04u /* log_size bytes of the log area go to log_stream */
#define ABI_DOORBELL_CRASH 0x08u /* the program died of a signal: see crash; no return */
#define ABI_DOORBELL_EXIT  0x0cu /* the program ended with exit_status; no return */
#define ABI_DOORBELL_INPUT                                                                     \
	0x10u /* terminal mode: read up to log_size bytes into the log area */
#define ABI_DOORBELL_SLEEP 0x14u /* go on after sleep_ns, or sooner: look at the clock */

/* The window: its own memory slot, never part of an image. 2 MiB steps, so that a guest can
 * map it with large pages. */
#define ABI_WINDOW_LOG	    0x00001000u
#define ABI_WINDOW_LOG_SIZE 0x0000f000u /* 60 KiB */
#define ABI_WINDOW_EVENT    0x00200000u
#define ABI_WINDOW_REPLY    0x00800000u
#define ABI_WINDOW_SIZE	    0x00e00000u
#define ABI_EVENT_MAX	    0x00600000u /* 6 MiB, as AWS Lambda's synchronous payload */
#define ABI_REPLY_MAX	    0x00600000u

#define ABI_MAILBOX_MAGIC   0x786f626c69616d74ull /* "tmailbox" */
#define ABI_MAILBOX_VERSION 1u
#define ABI_ENTROPY_SIZE    64u

/*
 * CLOCK: guest time without an exit.
 *   ns since tsc_base = (rdtsc - tsc_base) * mult >> shift     (128-bit product)
 *   CLOCK_MONOTONIC = mono_ns + that;  CLOCK_REALTIME = real_ns + that
 */
struct abi_clock {
	uint64_t tsc_base; /* the guest's TSC when the two below were taken */
	uint64_t mono_ns;  /* never less than what the guest could have seen before */
	uint64_t real_ns;  /* since 1970-01-01 UTC */
	uint32_t mult;
	uint32_t shift; /* at most 32 */
};

/*
 * Hooks: a program that has a handler for this signal is sent it inside read(3), with si_code
 * SI_QUEUE and one of these as si_int. guest/thaw.h is the program's side. The signal is one
 * that no kernel sends and no C library uses (Linux: SIGSTKFLT).
 */
#define ABI_HOOK_SIGNAL 16

enum abi_hook {
	ABI_HOOK_BEFORE_FREEZE = 1, /* the first NEXT is about to be rung */
	ABI_HOOK_AFTER_THAW = 2,    /* NEXT came back in another generation */
};

/* One crash: what a debugger would ask first. Signal numbers are Linux's. */
struct abi_crash {
	uint32_t signal;
	uint32_t vector; /* x86 exception vector; 0xffffffff: raised by the program itself */
	uint64_t error_code;
	uint64_t address; /* CR2 for a page fault, else 0 */
	uint64_t rip, rsp, rflags;
	uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp;
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t fs_base;
};

enum abi_log_stream {
	ABI_LOG_KERNEL = 0, /* kindling's own words */
	ABI_LOG_STDOUT = 1,
	ABI_LOG_STDERR = 2,
};

/* The first page of the window. */
struct abi_mailbox {
	/* Written by the host, only while the vCPU is stopped. */
	uint64_t magic;
	uint32_t version;
	uint32_t reserved0;
	uint64_t generation; /* another value after every restore and rewind; never 0 */
	uint8_t entropy[ABI_ENTROPY_SIZE]; /* fresh with every generation; the guest clears
					      it when it has taken it */
	struct abi_clock clock;
	uint64_t event_number; /* 1 for the first event of this machine's life */
	uint64_t event_size;   /* bytes in the event area */
	int64_t input_size;    /* answer to INPUT: bytes, 0 at end of file, or -errno */
	uint8_t reserved1[1904];

	/* Written by the guest; at byte 2048. */
	uint64_t first_tsc; /* rdtsc, the first thing after NEXT came back */
	uint64_t reply_size;
	uint64_t log_size;
	uint32_t log_stream; /* enum abi_log_stream */
	uint32_t exit_status;
	struct abi_crash crash;
	uint64_t sleep_ns;
	uint8_t reserved2[1832];
};

_Static_assert(__builtin_offsetof(struct abi_mailbox, first_tsc) == 2048, "guest half at 2048");
_Static_assert(sizeof(struct abi_mailbox) == 4096, "the header is one page");
