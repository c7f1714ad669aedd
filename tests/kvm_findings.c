/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_findings.c - what is tried on this host is found, and found once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "engine/err.h"
#include "engine/findings.h"
#include "engine/kvm.h"
#include "engine/trial.h"

/* What the trial of the counts stands on: the exception comes, and is handled in ring 3. */
Test(findings, a_debug_exception_is_handled_in_ring_3, .timeout = 60)
{
	static struct trial t;
	static struct kvm kvm;
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	if (!(kvm.quirks & QUIRK_SLOW_RING0))
		cr_skip_test("only tried where ring 0 is emulated");
	cr_assert(eq(int, trial_open(&t, &kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, trial_enter(&t, TRIAL_INT1, &err), 0), "%s", err.text);
	cr_assert(eq(int, trial_run(&t, &err), 0), "%s", err.text);
	cr_expect(eq(chr, t.seen, 'D'));
	trial_close(&t);
	kvm_close(&kvm);
}

Test(findings, are_found_once, .timeout = 60)
{
	static struct kvm kvm;
	struct findings first, again;
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, findings_get(&kvm, &first, &err), 0), "%s", err.text);
	cr_assert(eq(int, findings_get(&kvm, &again, &err), 0));
	cr_expect(eq(int, (int)first.flush_way, (int)again.flush_way));
	cr_expect(eq(u32, first.counts.size, again.counts.size));
	kvm_close(&kvm);
}
