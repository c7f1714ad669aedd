/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_version.c - `thaw version`: of thaw, and with --host of everything below it. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "engine/kvm.h"
#include "snapshot/format.h"
#include "snapshot/frames.h"
#include "snapshot/manifest.h"
#include "snapshot/version.h"
#include "snapshot/wset.h"
#include "tools/thaw/cmd.h"

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "host", no_argument, NULL, 'h' },
	{ 0 },
};

static json_t *host_json(const struct kvm *kvm)
{
	struct utsname host = { 0 };
	json_t *quirks = json_array();
	char vendor[13], xcr0[24];

	uname(&host);
	cpuid_vendor(&kvm->cpuid, vendor);
	snprintf(xcr0, sizeof(xcr0), "0x%" PRIx64, kvm->xcr0);
	for (const struct kvm_quirk_text *q = kvm_quirk_texts; q->name; q++) {
		if (kvm->quirks & q->quirk)
			json_array_append_new(quirks, json_string(q->name));
	}
	return json_pack("{ss ss ss sI ss sI sI so}", "kernel", host.release, "kvm",
			 kvm_kind_name(kvm->kind), "cpu_vendor", vendor, "tsc_khz",
			 (json_int_t)kvm->tsc_khz, "xcr0", xcr0, "xsave_size_bytes",
			 (json_int_t)kvm->xsave_size, "msrs", (json_int_t)kvm->nmsrs, "quirks",
			 quirks);
}

static void print_host(const struct kvm *kvm)
{
	struct utsname host = { 0 };
	char vendor[13];
	int n = 0;

	uname(&host);
	cpuid_vendor(&kvm->cpuid, vendor);
	printf("host kernel   %s\nKVM kind      %s\nCPU vendor    %s\nTSC           %u kHz, "
	       "%s\n"
	       "XSAVE         components 0x%" PRIx64 ", %u bytes\nMSRs          %u\n",
	       host.release, kvm_kind_name(kvm->kind), vendor, kvm->tsc_khz,
	       kvm->tsc_scaling ? "can be scaled" : "cannot be scaled", kvm->xcr0,
	       kvm->xsave_size, kvm->nmsrs);
	for (const struct kvm_quirk_text *q = kvm_quirk_texts; q->name; q++) {
		if (kvm->quirks & q->quirk)
			printf("%s %-13s %s\n", n++ == 0 ? "quirks       " : "             ",
			       q->name, q->meaning);
	}
	if (n == 0)
		printf("quirks        none\n");
}

static int run_version(int argc, char **argv)
{
	static struct kvm kvm; /* too large for the stack */
	bool json = false, host = false;
	struct err err = { 0 };
	json_t *doc;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return cmd_usage(&cmd_version, "unknown option");
		json |= opt == 'j';
		host |= opt == 'h';
	}
	if (optind != argc)
		return cmd_usage(&cmd_version, "unexpected '%s'", argv[optind]);
	if (host) {
		ret = kvm_open(&kvm, &err);
		if (ret < 0)
			return cmd_fail(ret, &err);
	}
	if (json) {
		doc = json_pack("{ss si si si si}", "thaw", THAW_VERSION, "manifest_version",
				MANIFEST_VERSION, "state_version", (int)STATE_FILE_VERSION,
				"memory_version", (int)FRAMES_VERSION, "wset_version",
				(int)WSET_VERSION);
		if (host)
			json_object_set_new(doc, "host", host_json(&kvm));
		return cmd_print_json(stdout, doc);
	}
	printf("thaw %s (image format %d)\n", THAW_VERSION, MANIFEST_VERSION);
	if (host)
		print_host(&kvm);
	return EXIT_OK;
}

const struct cmd cmd_version = {
	.name = "version",
	.run = run_version,
	.usage = "[--host] [--json]",
	.summary = "show the version, and what kind of host this is",
	.options = "  --host             also what KVM offers here and what is odd about it\n"
		   "  --json             one JSON object on stdout\n",
};
