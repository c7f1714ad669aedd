/* SPDX-License-Identifier: Apache-2.0 */
/* test_compat.c - a made-up host, and images that differ from it in one thing each. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "devices/mailbox.h"
#include "devices/types.h"
#include "engine/err.h"
#include "snapshot/compat.h"
#include "snapshot/kind.h"
#include "snapshot/machine.h"
#include "snapshot/manifest.h"

#define SUB KVM_CPUID_FLAG_SIGNIFCANT_INDEX

static struct kvm host = {
	.fd = -1,
	.kind = KVM_KIND_SVM,
	.xcr0 = 0x7,
	.xsave_size = 4096,
	.tsc_khz = 2000000,
	.cpuid = { .n = 3,
		   .entries = { { .function = 0,
				  .ebx = 0x68747541,
				  .edx = 0x69746e65,
				  .ecx = 0x444d4163 },
				{ .function = 1, .ecx = 0x18001001, .edx = 0x07000001 },
				{ .function = 7, .flags = SUB, .ebx = 0x21 } } },
};
static struct manifest m;
static struct err err;

static void setup(void)
{
	struct shape shape;

	kind_shape(&kind_kindling, &host, &host.cpuid, 64 << 20, 0, &shape);
	cr_assert(eq(int, compat_describe(&m, &host, &shape, &err), 0), "%s", err.text);
	snprintf(m.guest_kind, sizeof(m.guest_kind), "kindling");
}

static void teardown(void)
{
	manifest_fini(&m);
}

TestSuite(compat, .init = setup, .fini = teardown);

static void expect_fit(const char *why)
{
	cr_expect(eq(int, compat_check(&m, &host, &err), 0), "%s: %s", why, err.text);
}

/* Refused with "does not fit this host: " and exactly @what. */
static void expect_unfit(const char *what)
{
	char want[240];

	snprintf(want, sizeof(want), "does not fit this host: %s", what);
	cr_expect(eq(int, compat_check(&m, &host, &err), -ERR_UNFIT));
	cr_expect(eq(str, err.text, want));
}

static struct manifest_feature *feature(const char *name)
{
	for (uint32_t i = 0; i < m.nfeatures; i++) {
		if (strcmp(m.features[i].name, name) == 0)
			return &m.features[i];
	}
	cr_fatal("no feature word %s", name);
	return NULL;
}

Test(compat, a_host_fits_what_it_describes)
{
	expect_fit("as described");
	cr_expect(eq(str, m.cpu_vendor, "AuthenticAMD"));
	cr_expect(eq(str, m.host_kvm, "svm"));
	cr_expect(eq(u32, m.vcpus, 1));
	cr_expect(eq(u32, m.tsc_khz, 2000000));
	cr_expect(eq(u64, m.xcr0, 7));
	cr_expect(eq(u32, m.xsave_size, 4096));
	cr_expect(eq(u32, m.nregions, 1));
	cr_expect(eq(u64, m.regions[0].size, 64 << 20));
	cr_expect(eq(u32, m.nfeatures, 3)); /* the words that are not 0 */
	cr_expect(eq(u32, feature("1.ecx")->value, 0x18001001));
	cr_expect(eq(u32, feature("7.ebx")->value, 0x21));
	cr_expect(gt(sz, strlen(m.host_kernel), 0));
	cr_expect(eq(str, m.devices[0], (char *)device_types[0]->name));
}

Test(compat, an_image_that_needs_less_fits)
{
	feature("1.ecx")->value = 1;
	m.features[2].value = 0;
	m.xcr0 = 3;
	expect_fit("less");
}

Test(compat, another_kvm_kind)
{
	snprintf(m.host_kvm, sizeof(m.host_kvm), "pvm");
	expect_unfit("KVM kind is pvm, here svm");
}

Test(compat, another_cpu_vendor)
{
	snprintf(m.cpu_vendor, sizeof(m.cpu_vendor), "GenuineIntel");
	expect_unfit("CPU vendor is GenuineIntel, here AuthenticAMD");
}

Test(compat, a_missing_feature_that_has_a_name)
{
	feature("7.ebx")->value |= 1u << 16;
	expect_unfit("CPU features missing here: avx512f");
}

Test(compat, a_missing_feature_without_a_name)
{
	feature("1.edx")->value |= 1u << 30;
	expect_unfit("CPU features missing here: 1.edx[30]");
}

Test(compat, missing_features_of_one_word_are_listed_together)
{
	feature("1.ecx")->value |= 1u << 29 | 1u << 31 | 1u << 9;
	expect_unfit("CPU features missing here: ssse3 f16c 1.ecx[31]");
}

Test(compat, a_feature_word_of_a_later_version)
{
	snprintf(feature("7.ebx")->name, sizeof(m.features[0].name), "24.ebx");
	expect_unfit("CPU feature word 24.ebx is unknown to this version");
}

Test(compat, xsave_components_that_this_host_has_not)
{
	m.xcr0 = 0xe7;
	expect_unfit("XSAVE components are 0xe7, here 0x7");
}

/* Memory in the mailbox's place, or for terabytes that are not there, is not kindling's. */
Test(compat, memory_that_kindling_does_not_have)
{
	static const struct {
		uint32_t n;
		uint64_t gpa, size;
	} cases[] = {
		{ 2, 0, 64 << 20 },	     { 1, 0xd0000000, 64 << 20 },
		{ 1, 0, 14 << 20 },	     { 1, 0, (UINT64_C(3) << 30) + (2 << 20) },
		{ 1, 0, UINT64_C(1) << 45 },
	};
	char want[200];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		m.nregions = cases[i].n;
		m.regions[0].gpa = cases[i].gpa;
		m.regions[0].size = cases[i].size;
		snprintf(want, sizeof(want),
			 "%u regions of memory, %llu MiB at 0x%llx, this version runs "
			 "kindling with 16 to 3072 MiB from 0 on",
			 cases[i].n, (unsigned long long)cases[i].size >> 20,
			 (unsigned long long)cases[i].gpa);
		expect_unfit(want);
	}
}

Test(compat, tsc_rates_are_the_same_within_250_ppm)
{
	m.tsc_khz = 2000400; /* 200 ppm */
	expect_fit("200 ppm faster");
	m.tsc_khz = 1999600;
	expect_fit("200 ppm slower");
	m.tsc_khz = 2000600; /* 300 ppm */
	expect_unfit("TSC runs at 2000600 kHz, here 2000000");
	m.tsc_khz = 1999400;
	expect_unfit("TSC runs at 1999400 kHz, here 2000000");
	m.tsc_khz = UINT32_MAX;
	expect_unfit("TSC runs at 4294967295 kHz, here 2000000");
}

Test(compat, tsc_scaling_makes_every_rate_fit)
{
	static struct kvm scaling;

	scaling = host;
	scaling.tsc_scaling = true;
	m.tsc_khz = 3500000;
	cr_expect(eq(int, compat_check(&m, &scaling, &err), 0), "%s", err.text);
}

Test(compat, a_device_that_is_unknown)
{
	snprintf(m.devices[m.ndevices++], sizeof(m.devices[0]), "floppy");
	expect_unfit("2 devices, kindling with 0 drives has 1 here");
}

Test(compat, no_mailbox)
{
	m.ndevices = 0;
	expect_unfit("0 devices, kindling with 0 drives has 1 here");
}

Test(compat, more_vcpus_than_this_version_runs)
{
	m.vcpus = 4;
	expect_unfit("4 vCPUs, this version runs 1");
}

Test(compat, another_guest_kind)
{
	snprintf(m.guest_kind, sizeof(m.guest_kind), "hurd");
	expect_unfit("guest kind is hurd, this version runs kindling and linux");
}

Test(compat, two_differences_are_both_named)
{
	m.vcpus = 2;
	m.xcr0 = 0x207;
	expect_unfit("2 vCPUs, this version runs 1; XSAVE components are 0x207, here 0x7");
}

Test(compat, everything_different_is_still_one_terminated_sentence)
{
	memset(m.guest_kind, 'g', sizeof(m.guest_kind) - 1);
	memset(m.host_kvm, 'k', sizeof(m.host_kvm) - 1);
	memset(m.cpu_vendor, 'v', sizeof(m.cpu_vendor) - 1);
	m.vcpus = MANIFEST_MAX_VCPUS;
	m.xcr0 = UINT64_MAX;
	m.tsc_khz = 1;
	m.ndevices = MANIFEST_MAX_DEVICES;
	for (uint32_t i = 0; i < m.ndevices; i++)
		memset(m.devices[i], 'd', sizeof(m.devices[i]) - 1);
	m.nfeatures = MANIFEST_MAX_FEATURES;
	for (uint32_t i = 0; i < m.nfeatures; i++) {
		snprintf(m.features[i].name, sizeof(m.features[i].name), "%s",
			 cpuid_words[i % cpuid_nwords].name);
		m.features[i].value = UINT32_MAX;
	}
	memset(&err, 'x', sizeof(err));
	cr_expect(eq(int, compat_check(&m, &host, &err), -ERR_UNFIT));
	cr_assert(lt(sz, strnlen(err.text, sizeof(err.text)), sizeof(err.text)));
	cr_expect(eq(int,
		     strncmp(err.text,
			     "does not fit this host: guest kind is ggggggggggggggg, ", 55),
		     0),
		  "%s", err.text);
	cr_expect(eq(ptr, strchr(err.text, '\n'), NULL));
}

/* Every single bit of every word, so that no name is too long for the sentence. */
Test(compat, every_missing_bit_of_a_word_is_said_without_overflow)
{
	for (uint32_t i = 0; i < cpuid_nwords; i++) {
		m.nfeatures = 1;
		snprintf(m.features[0].name, sizeof(m.features[0].name), "%s",
			 cpuid_words[i].name);
		m.features[0].value = UINT32_MAX;
		memset(&err, 'x', sizeof(err));
		cr_expect(eq(int, compat_check(&m, &host, &err), -ERR_UNFIT));
		cr_expect(lt(sz, strnlen(err.text, sizeof(err.text)), 150), "%s",
			  cpuid_words[i].name);
	}
}
