/* SPDX-License-Identifier: Apache-2.0 */
/* test_assist.c - what is said of instructions that KVM cannot emulate. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/assist.h"
#include "engine/err.h"
#include "engine/vm.h"

Test(assist, hints_are_given_by_opcode_whatever_the_prefixes)
{
	static const struct {
		const char *why;
		uint8_t bytes[15];
		uint32_t n;
		const char *hint; /* NULL: none; else how it begins */
	} cases[] = {
		{ "popcnt", { 0xf3, 0x0f, 0xb8, 0xc0 }, 4, "clearcpuid=popcnt" },
		{ "popcnt of 64 bits",
		  { 0xf3, 0x48, 0x0f, 0xb8, 0xc7 },
		  5,
		  "clearcpuid=popcnt" },
		{ "jmpe", { 0x0f, 0xb8, 0xc0 }, 3, NULL },
		{ "xgetbv", { 0x0f, 0x01, 0xd0 }, 3, "noxsave" },
		{ "xsetbv", { 0x0f, 0x01, 0xd1 }, 3, "noxsave" },
		{ "xsave64", { 0x48, 0x0f, 0xae, 0x27 }, 4, "noxsave" },
		{ "xrstor", { 0x0f, 0xae, 0x2f }, 3, "noxsave" },
		{ "xsaves64", { 0x48, 0x0f, 0xc7, 0x2f }, 4, "noxsave" },
		{ "vmovdqu", { 0xc5, 0xfe, 0x6f, 0x06 }, 4, "noxsave" },
		{ "stac", { 0x0f, 0x01, 0xcb }, 3, "CPUID without leaf 7" },
		{ "lock cmpxchg16b",
		  { 0xf0, 0x48, 0x0f, 0xc7, 0x0e },
		  5,
		  "CPUID without cx16" },
		{ "cmpxchg16b %gs:",
		  { 0x65, 0x48, 0x0f, 0xc7, 0x0e },
		  5,
		  "CPUID without cx16" },
		{ "verw", { 0x0f, 0x00, 0x2d, 0, 0, 0, 0 }, 7, "mitigations=off" },
		{ "invpcid", { 0x66, 0x0f, 0x38, 0x82, 0x04, 0x24 }, 6, "noinvpcid" },
		{ "rdtscp", { 0x0f, 0x01, 0xf9 }, 3, "CPUID without rdtscp" },
		{ "vmcall", { 0x0f, 0x01, 0xc1 }, 3, "CPUID without KVM" },
		{ "fnclex", { 0xdb, 0xe2 }, 2, NULL },
		{ "nothing", { 0 }, 0, NULL },
		{ "cut", { 0x0f, 0x01 }, 2, NULL },
		{ "only prefixes", { 0x66, 0xf3, 0x48 }, 3, NULL },
		{ "fifteen prefixes",
		  { 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
		    0x66, 0x66, 0x66 },
		  15,
		  NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct insn insn = { cases[i].bytes, cases[i].n };
		const char *hint = assist_hint(&insn), *want = cases[i].hint;

		if (want)
			cr_expect(hint && strncmp(hint, want, strlen(want)) == 0, "%s: %s",
				  cases[i].why, hint ? hint : "none");
		else
			cr_expect(eq(ptr, (void *)hint, NULL), "%s", cases[i].why);
	}
}

Test(assist, only_two_instructions_are_carried_out_and_only_where_they_have_to)
{
	static const struct {
		uint32_t quirks;
		uint8_t opcode;
		int ret;
	} cases[] = {
		{ QUIRK_ASSIST, 0xcc, -EBADF }, /* it is tried, and there is no vCPU */
		{ QUIRK_ASSIST, 0x9b, -EBADF }, { QUIRK_ASSIST, 0x90, 0 }, { 0, 0xcc, 0 },
		{ QUIRK_SLOW_RING0, 0x9b, 0 },
	};
	static struct kvm kvm;
	static struct vm vm = { .kvm = &kvm };
	struct vcpu v = { .vm = &vm, .fd = -1 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct insn insn = { &cases[i].opcode, 1 }, none = { NULL, 0 };
		struct err err = { 0 };

		kvm.quirks = cases[i].quirks;
		cr_expect(eq(int, assist_emulate(&v, &insn, &err), cases[i].ret), "case %zu",
			  i);
		cr_expect(eq(int, assist_emulate(&v, &none, &err), 0));
	}
	cr_expect(eq(u64, v.stats.assists, 2));
}
