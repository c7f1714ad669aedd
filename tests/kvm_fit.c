/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_fit.c - intact images of other hosts, and images that contradict themselves: manifests
 * that were edited and signed again. Each is refused with a sentence before anything is decoded
 * into a machine.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"
#include "tools/thaw/cmd.h"

static struct frozen f;
static struct manifest m;
static struct err err;

static void setup(void)
{
	static struct booted b;

	booted_kernel(&b, "tests/obey.elf", "");
	frozen_from(&f, &b.machine);
	booted_free(&b);
}

static void teardown(void)
{
	manifest_fini(&m);
	if (f.dir)
		frozen_free(&f);
}

TestSuite(fit, .init = setup, .fini = teardown, .timeout = 60);

static void manifest_load(void)
{
	size_t len;
	uint8_t *text = bytes_read(scratch_path(f.dir, "manifest.json"), &len);

	cr_assert(eq(int, manifest_parse(&m, (char *)text, len, &err), 0), "%s", err.text);
	free(text);
}

static void manifest_store(void)
{
	size_t len;
	char *text;

	cr_assert(eq(int, manifest_format(&m, &text, &len, &err), 0), "%s", err.text);
	bytes_write(scratch_path(f.dir, "manifest.json"), text, len);
	free(text);
	manifest_fini(&m);
}

/* What `thaw run` says about the image; @code: gets its exit code. */
static const char *thaw_run(int *code)
{
	char *argv[] = { "run", "--payload", "x", (char *)f.dir, NULL };
	static char text[512];
	int fds[2], err_fd = dup(STDERR_FILENO);
	ssize_t n;

	cr_assert(eq(int, pipe(fds), 0));
	cr_assert(ge(int, dup2(fds[1], STDERR_FILENO), 0));
	optind = 0; /* getopt from its beginning */
	*code = cmd_run.run(4, argv);
	fflush(stderr);
	dup2(err_fd, STDERR_FILENO);
	close(err_fd);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* The edited image opens, for it is intact, and is refused by what makes machines: with @ret,
 * and the image's name before @what. */
static void expect_refused(int ret, const char *what)
{
	static struct image image;
	static struct template t;
	char want[512];
	int code;

	cr_assert(eq(int, image_open(&image, f.dir, &err), 0), "%s", err.text);
	cr_expect(eq(int, template_open(&t, &image, &f.kvm, &err), ret), "%s", what);
	snprintf(want, sizeof(want), "%s%s", image.name, what);
	cr_expect(eq(str, err.text, want));
	image_close(&image);

	snprintf(want, sizeof(want), "thaw: %s\n", err.text);
	cr_expect(eq(str, (char *)thaw_run(&code), want));
	cr_expect(eq(int, code, ret == -ERR_UNFIT ? EXIT_FAILED : EXIT_DAMAGED));
}

Test(fit, an_edited_manifest_that_was_signed_again_is_as_good_as_before)
{
	static struct image image;
	static struct template t;

	manifest_load();
	snprintf(m.guest_program, sizeof(m.guest_program), "another");
	manifest_store();
	cr_assert(eq(int, image_open(&image, f.dir, &err), 0), "%s", err.text);
	cr_expect(eq(str, image.manifest.guest_program, "another"));
	cr_expect(eq(int, template_open(&t, &image, &f.kvm, &err), 0), "%s", err.text);
	template_close(&t);
	image_close(&image);
}

Test(fit, another_kvm_kind)
{
	const char *other = f.kvm.kind == KVM_KIND_SVM ? "vmx" : "svm";
	char want[200];

	manifest_load();
	snprintf(m.host_kvm, sizeof(m.host_kvm), "%s", other);
	manifest_store();
	snprintf(want, sizeof(want), ": does not fit this host: KVM kind is %s, here %s", other,
		 kvm_kind_name(f.kvm.kind));
	expect_refused(-ERR_UNFIT, want);
}

Test(fit, another_tsc_rate)
{
	char want[200];

	if (f.kvm.tsc_scaling)
		cr_skip_test("this host gives a guest any TSC rate");
	manifest_load();
	m.tsc_khz = f.kvm.tsc_khz + f.kvm.tsc_khz / 100;
	snprintf(want, sizeof(want), ": does not fit this host: TSC runs at %u kHz, here %u",
		 m.tsc_khz, f.kvm.tsc_khz);
	manifest_store();
	expect_refused(-ERR_UNFIT, want);
}

Test(fit, features_that_this_cpu_has_not)
{
	manifest_load();
	cr_assert(lt(u32, m.nfeatures, MANIFEST_MAX_FEATURES));
	snprintf(m.features[m.nfeatures].name, sizeof(m.features[0].name), "99.ebx");
	m.features[m.nfeatures++].value = 1;
	manifest_store();
	expect_refused(-ERR_UNFIT,
		       ": does not fit this host: CPU feature word 99.ebx is unknown to this "
		       "version");
}

Test(fit, a_feature_bit_that_this_cpu_has_not)
{
	char want[200];
	uint32_t i = 0, bit = 0;
	const struct cpuid_word *w = cpuid_words;

	manifest_load();
	while (strcmp(m.features[i].name, "1.edx") != 0)
		i++;
	while (strcmp(w->name, "1.edx") != 0)
		w++;
	while (bit < 32 && kvm_features(&f.kvm, w) >> bit & 1)
		bit++;
	cr_assert(lt(u32, bit, 32)); /* bit 10 is reserved: SDM vol. 2A, CPUID */
	m.features[i].value |= 1u << bit;
	manifest_store();
	snprintf(want, sizeof(want),
		 ": does not fit this host: CPU features missing here: 1.edx[%u]", bit);
	expect_refused(-ERR_UNFIT, want);
}

Test(fit, xsave_components_that_this_host_does_not_give)
{
	char want[200];

	manifest_load();
	m.xcr0 = f.kvm.xcr0 | UINT64_C(1) << 62;
	snprintf(want, sizeof(want),
		 ": does not fit this host: XSAVE components are 0x%llx, here 0x%llx",
		 (unsigned long long)m.xcr0, (unsigned long long)f.kvm.xcr0);
	manifest_store();
	expect_refused(-ERR_UNFIT, want);
}

Test(fit, a_manifest_with_another_cpuid_than_its_state)
{
	manifest_load();
	m.cpuid_sha256.bytes[0] ^= 1;
	manifest_store();
	expect_refused(-ERR_DAMAGED,
		       "/manifest.json: shape.cpuid_sha256 is not that of state.bin");
}

Test(fit, a_manifest_with_another_tsc_rate_than_its_state)
{
	char want[200];

	manifest_load();
	snprintf(want, sizeof(want), "/manifest.json: shape.tsc_khz is %u, state.bin has %u",
		 m.tsc_khz + 1, m.tsc_khz);
	m.tsc_khz++; /* near enough for this host */
	manifest_store();
	expect_refused(-ERR_DAMAGED, want);
}

Test(fit, a_manifest_with_fewer_xsave_components_than_its_state)
{
	manifest_load();
	m.xcr0 = 1;
	manifest_store();
	expect_refused(-ERR_DAMAGED, "/manifest.json: shape.xcr0 is not what state.bin has");
}
