/* SPDX-License-Identifier: Apache-2.0 */
/* mailbox_crash.c - a crash record as text, for people. */
#include <inttypes.h>
#include <stdio.h>

#include "devices/mailbox.h"

#define REGS_PER_LINE 4u

void mailbox_crash_text(const struct mailbox *mb, char *text, size_t size)
{
	const struct abi_crash c = mailbox_crash(mb);
	const struct {
		const char *name;
		uint64_t value;
	} regs[] = {
		{ "rip", c.rip }, { "rsp", c.rsp }, { "rfl", c.rflags }, { "fs", c.fs_base },
		{ "rax", c.rax }, { "rbx", c.rbx }, { "rcx", c.rcx },	 { "rdx", c.rdx },
		{ "rsi", c.rsi }, { "rdi", c.rdi }, { "rbp", c.rbp },	 { "r8", c.r8 },
		{ "r9", c.r9 },	  { "r10", c.r10 }, { "r11", c.r11 },	 { "r12", c.r12 },
		{ "r13", c.r13 }, { "r14", c.r14 }, { "r15", c.r15 },
	};
	size_t used = 0;

	for (size_t i = 0; i <= ARRAY_SIZE(regs) && used < size; i++) {
		int n;

		if (i == 0)
			n = snprintf(text, size, "  vector %d  error code 0x%" PRIx64,
				     (int32_t)c.vector, c.error_code);
		else
			n = snprintf(text + used, size - used, "%s%-3s %016" PRIx64,
				     (i - 1) % REGS_PER_LINE == 0 ? "\n  " : "  ",
				     regs[i - 1].name, regs[i - 1].value);
		used += (size_t)MAX(n, 0);
	}
}
