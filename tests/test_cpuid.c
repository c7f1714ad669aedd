/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/cpuid.h"
#include "engine/util.h"

#define SUB KVM_CPUID_FLAG_SIGNIFCANT_INDEX

/* A CPU with x87, SSE, AVX and a component 9 that lies beyond them. */
static const struct cpuid cpu = {
	.n = 12,
	.entries = {
		{ .function = 0, .eax = 0x1f, .ebx = 0x756e6547, .ecx = 0x6c65746e,
		  .edx = 0x49656e69 },
		{ .function = 1, .ebx = 0x07123456, .ecx = 1u << 28, .edx = 1 },
		{ .function = 7, .index = 0, .flags = SUB, .ebx = 1u << 5, .ecx = 77 },
		{ .function = 7, .index = 1, .flags = SUB, .eax = 1u << 4 },
		{ .function = 0xb, .index = 0, .flags = SUB, .edx = 7 },
		{ .function = 0xb, .index = 1, .flags = SUB, .edx = 7 },
		{ .function = 0xd, .index = 0, .flags = SUB, .eax = 0x207, .edx = 1 },
		{ .function = 0xd, .index = 2, .flags = SUB, .eax = 256, .ebx = 576 },
		{ .function = 0xd, .index = 9, .flags = SUB, .eax = 8, .ebx = 2688 },
		{ .function = 0x1f, .index = 0, .flags = SUB, .edx = 7 },
		{ .function = 0x80000001u, .edx = 1u << 29 },
		{ .function = 0x8000001eu, .eax = 7 },
	},
};

static const struct cpuid none;

Test(cpuid, leaves_are_found_with_and_without_subleaf)
{
	cr_expect(eq(ptr, (void *)cpuid_find(&cpu, 7, 0), (void *)&cpu.entries[2]));
	cr_expect(eq(ptr, (void *)cpuid_find(&cpu, 7, 1), (void *)&cpu.entries[3]));
	cr_expect(eq(ptr, (void *)cpuid_find(&cpu, 7, 2), NULL));
	/* Leaf 1 has no subleaves: any index gives it. */
	cr_expect(eq(ptr, (void *)cpuid_find(&cpu, 1, 5), (void *)&cpu.entries[1]));
	cr_expect(eq(ptr, (void *)cpuid_find(&cpu, 2, 0), NULL));
	cr_expect(eq(ptr, (void *)cpuid_find(&none, 0, 0), NULL));
}

Test(cpuid, the_vendor_is_a_word)
{
	char vendor[13];

	cpuid_vendor(&cpu, vendor);
	cr_expect(eq(str, vendor, "GenuineIntel"));
	cpuid_vendor(&none, vendor);
	cr_expect(eq(str, vendor, ""));
}

Test(cpuid, xcr0_is_both_halves_of_leaf_0xd)
{
	cr_expect(eq(u64, cpuid_xcr0(&cpu), 0x100000207));
	cr_expect(eq(u64, cpuid_xcr0(&none), 0));
}

Test(cpuid, every_leaf_with_an_apic_id_gets_it_and_nothing_else_changes)
{
	static struct cpuid c, want;

	c = want = cpu;
	want.entries[1].ebx = 0x2a123456;
	want.entries[4].edx = want.entries[5].edx = want.entries[9].edx = 0x2a;
	want.entries[11].eax = 0x2a;
	cpuid_set_apic_id(&c, 0x2a);
	cr_expect(eq(int, memcmp(&c, &want, sizeof(c)), 0));
}

static const struct cpuid_word *word(const char *name)
{
	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		if (strcmp(cpuid_words[i].name, name) == 0)
			return &cpuid_words[i];
	}
	cr_fatal("no word %s", name);
	return NULL;
}

Test(cpuid, what_kvm_leaves_to_us_is_offered_in_leaf_1_alone)
{
	static struct cpuid c;

	c = cpu;
	cpuid_set_tsc_deadline(&c);
	cpuid_set_hypervisor(&c);
	for (uint32_t i = 0; i < c.n; i++) {
		uint32_t added = c.entries[i].function == 1 ? 1u << 24 | 1u << 31 : 0;

		cr_expect(eq(u32, c.entries[i].ecx, cpu.entries[i].ecx | added));
	}
}

Test(cpuid, words_are_named_once_and_read_the_register_that_they_say)
{
	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		const struct cpuid_word *w = &cpuid_words[i];

		cr_expect(le(u32, w->reg, 3), "%s", w->name);
		for (uint32_t k = 0; k < i; k++) {
			const struct cpuid_word *o = &cpuid_words[k];

			cr_expect(ne(str, (char *)w->name, (char *)o->name));
			cr_expect(eq(int,
				     w->leaf == o->leaf && w->index == o->index &&
					     w->reg == o->reg,
				     0),
				  "%s is %s", w->name, o->name);
		}
	}
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("1.ecx")), 1u << 28));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("1.edx")), 1));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("7.ebx")), 1u << 5));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("7.ecx")), 77));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("7.1.eax")), 1u << 4));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("80000001.edx")), 1u << 29));
	cr_expect(eq(u32, cpuid_word_value(&cpu, word("80000008.ebx")), 0)); /* no such leaf */
}

Test(cpuid, this_cpu_has_what_every_64_bit_cpu_has)
{
	cr_expect(ne(u32, cpuid_word_host(word("1.edx")) & 1u << 26, 0));	 /* SSE2 */
	cr_expect(ne(u32, cpuid_word_host(word("80000001.edx")) & 1u << 29, 0)); /* long mode */
}

Test(cpuid, bits_have_the_names_of_proc_cpuinfo)
{
	cr_expect(eq(str, (char *)cpuid_bit_name(word("1.ecx"), 28), "avx"));
	cr_expect(eq(str, (char *)cpuid_bit_name(word("7.ebx"), 5), "avx2"));
	cr_expect(eq(str, (char *)cpuid_bit_name(word("7.1.eax"), 4), "avx_vnni"));
	cr_expect(eq(str, (char *)cpuid_bit_name(word("80000001.edx"), 29), "lm"));
	cr_expect(eq(ptr, (void *)cpuid_bit_name(word("1.edx"), 31), NULL));
}

/* A name that no word leads to could never be said; two equal ones would mislead. */
Test(cpuid, every_bit_name_belongs_to_a_word)
{
	const char *names[32 * 16];
	uint32_t n = 0;

	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		for (unsigned int bit = 0; bit < 32; bit++) {
			const char *name = cpuid_bit_name(&cpuid_words[i], bit);

			for (uint32_t k = 0; name && k < n; k++)
				cr_expect(ne(str, (char *)name, (char *)names[k]));
			if (name)
				names[n++] = name;
		}
	}
	cr_expect(eq(u32, n, cpuid_nbit_names));
}
