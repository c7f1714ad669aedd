/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_findings.c - what is tried on this host is found, and found once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "engine/err.h"
#include "engine/findings.h"
#include "engine/kvm.h"

Test(findings, are_found_once, .timeout = 60)
{
	static struct kvm kvm;
	struct findings first, again;
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, findings_get(&kvm, &first, &err), 0), "%s", err.text);
	cr_assert(eq(int, findings_get(&kvm, &again, &err), 0));
	cr_expect(eq(int, (int)first.flush_way, (int)again.flush_way));
	cr_expect(eq(int, first.counts_tell, again.counts_tell));
	kvm_close(&kvm);
}
