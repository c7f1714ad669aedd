/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - from ring 3 to the program's first instruction. Everything that a program may
 * later find missing is said here, with exit status 127.
 */
#include <stddef.h>

#include "guest/abi.h"
#include "guest/kindling/archive.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/file.h"
#include "guest/kindling/fpu.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/log.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/program.h"
#include "guest/kindling/regs.h"
#include "guest/kindling/special.h"
#include "guest/kindling/tables.h"

/* What layout.h tells assembly about guest/abi.h. */
_Static_assert(LAYOUT_REGS_GPA == ABI_MAILBOX_REGS_GPA, "layout.h");
_Static_assert(LAYOUT_WINDOW_GPA == ABI_MAILBOX_WINDOW_GPA, "layout.h");
_Static_assert(LAYOUT_DOORBELL_NEXT == ABI_DOORBELL_NEXT, "layout.h");
_Static_assert(LAYOUT_WINDOW_EVENT == ABI_WINDOW_EVENT, "layout.h");
_Static_assert(LAYOUT_WINDOW_REPLY == ABI_WINDOW_REPLY, "layout.h");
_Static_assert(LAYOUT_REPLY_MAX == ABI_REPLY_MAX, "layout.h");
_Static_assert(ABI_WINDOW_SIZE == LAYOUT_HUGE_PAGE * 7, "boot.S maps 7 large pages");
_Static_assert(ABI_KERNEL_MAX_GPA == LAYOUT_KERNEL_END - LAYOUT_KERNEL, "layout.h");
#define MAILBOX_OFFSET(field) offsetof(struct abi_mailbox, field)
_Static_assert(LAYOUT_MAILBOX_EVENT_SIZE == MAILBOX_OFFSET(event_size), "layout.h");
_Static_assert(LAYOUT_MAILBOX_FIRST_TSC == MAILBOX_OFFSET(first_tsc), "layout.h");
_Static_assert(LAYOUT_MAILBOX_REPLY_SIZE == MAILBOX_OFFSET(reply_size), "layout.h");

/* One of the host's files: page aligned, above kindling, inside RAM. */
static void check_module(const char *what, uint64_t gpa, uint64_t size, uint64_t ram_size)
{
	if (gpa % LAYOUT_PAGE || gpa < ABI_KERNEL_MAX_GPA || gpa > ram_size ||
	    size > ram_size - gpa)
		log_die("boot info: %s at 0x%lx + 0x%lx, expected a page in 0x%x to 0x%lx",
			what, gpa, size, ABI_KERNEL_MAX_GPA, ram_size);
}

static void check_boot_info(const struct abi_boot_info *info)
{
	if (info->magic != ABI_BOOT_MAGIC || info->version != ABI_BOOT_VERSION)
		log_die("boot info: magic 0x%lx version %u, expected 0x%llx version %u",
			info->magic, info->version, ABI_BOOT_MAGIC, ABI_BOOT_VERSION);
	if (mailbox()->magic != ABI_MAILBOX_MAGIC || mailbox()->version != ABI_MAILBOX_VERSION)
		log_die("mailbox: magic 0x%lx version %u, expected 0x%llx version %u",
			mailbox()->magic, mailbox()->version, ABI_MAILBOX_MAGIC,
			ABI_MAILBOX_VERSION);
	if (info->ram_size < ABI_RAM_MIN_SIZE || info->ram_size > ABI_RAM_MAX_SIZE ||
	    info->ram_size % LAYOUT_HUGE_PAGE)
		log_die("boot info: %lu bytes of RAM, expected %u to %u in steps of 2 MiB",
			info->ram_size, ABI_RAM_MIN_SIZE, ABI_RAM_MAX_SIZE);
	check_module("program", info->program_gpa, info->program_size, info->ram_size);
	check_module("strings", info->strings_gpa, info->strings_size, info->ram_size);
	if (info->files_size)
		check_module("files", info->files_gpa, info->files_size, info->ram_size);
}

void kindling_main(uint64_t boot_gpa)
{
	const struct abi_boot_info *info = (const void *)(LAYOUT_KERNEL + boot_gpa);

	check_boot_info(info);
	tables_map(LAYOUT_DIRECT, 0, info->ram_size, TABLES_WRITE);
	tables_link();

	file_init(info->mode == ABI_MODE_TERMINAL);
	fpu_init();
	program_load(info);
	memory_init();
	special_init();
	archive_init(tables_direct(info->files_gpa), info->files_size);
	program_enter(program.entry, program.sp);
}
