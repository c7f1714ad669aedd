/* SPDX-License-Identifier: Apache-2.0 */
/* test_cpuid_linux.c - the CPU of a Linux guest, on hosts of both kinds. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "engine/cpuid_linux.h"

#define ALL UINT32_MAX

static struct kvm kvm;
static struct cpuid c;

static void setup(void)
{
	static const uint32_t leaves[] = { 0,	       1,	   4,	       7,
					   0xb,	       0xd,	   0x1f,       0x40000000,
					   0x40000001, 0x80000001, 0x80000008, 0x8000001d,
					   0x8000001e };

	kvm.cpuid.n = ARRAY_SIZE(leaves);
	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++)
		kvm.cpuid.entries[i] = (struct kvm_cpuid_entry2){
			.function = leaves[i], .eax = ALL, .ebx = ALL, .ecx = ALL, .edx = ALL
		};
	kvm.cpuid.entries[0].eax = 0x1f;
}

TestSuite(cpuid_linux, .init = setup);

static const struct kvm_cpuid_entry2 *leaf(uint32_t function)
{
	const struct kvm_cpuid_entry2 *e = cpuid_find(&c, function, 0);

	cr_assert(e != NULL);
	return e;
}

static void expect_alone(void)
{
	cr_expect(eq(u32, leaf(1)->ebx, 0xff01ffff));
	cr_expect(eq(u32, leaf(1)->edx, ~(1u << 28 | 1u << 14 | 1u << 7)));
	cr_expect(eq(u32, leaf(4)->eax, 0x3fff));
	cr_expect(eq(u32, leaf(0xb)->ebx, 0));
	cr_expect(eq(u32, leaf(0xb)->edx, ALL)); /* the APIC id */
	cr_expect(eq(u32, leaf(0x1f)->ebx, 0));
	cr_expect(eq(u32, leaf(0x80000008)->eax, ALL)); /* address bits */
	cr_expect(eq(u32, leaf(0x80000008)->ecx, 0));
	cr_expect(eq(u32, leaf(0x8000001d)->eax, 0x3fff));
	cr_expect(eq(u32, leaf(0x8000001e)->eax, ALL));
	cr_expect(eq(u32, leaf(0x8000001e)->ebx | leaf(0x8000001e)->ecx, 0));
	cr_expect(eq(u32, leaf(7)->ebx, ALL));
	cr_expect(eq(u32, leaf(0x80000001)->edx, ~(1u << 14 | 1u << 7)));
}

Test(cpuid_linux, hardware_offers_all_that_kvm_does_to_one_cpu)
{
	cpuid_for_linux(&kvm, &c);
	expect_alone();
	cr_expect(eq(u32, leaf(0)->eax, 0x1f));
	cr_expect(eq(u32, leaf(1)->ecx, ALL));
	cr_expect(eq(u32, leaf(0x40000001)->eax, ALL));
	cr_expect(eq(str, linux_cmdline_quirks(&kvm), ""));
}

Test(cpuid_linux, where_ring_0_is_emulated_less_is_offered)
{
	kvm.quirks = QUIRK_SLOW_RING0;
	cpuid_for_linux(&kvm, &c);
	expect_alone();
	cr_expect(eq(u32, leaf(0)->eax, 1));
	cr_expect(eq(u32, leaf(1)->ecx, ~(1u << 13 | 1u << 17)));
	cr_expect(eq(u32, leaf(0x40000001)->eax & 0x9, 0x9)); /* kvmclock, both kinds */
	cr_expect(
		eq(u32, leaf(0x40000001)->eax & 0x16eb0, 0)); /* hypercalls, steal time, ... */
	cr_expect(ne(str, linux_cmdline_quirks(&kvm), ""));
}
