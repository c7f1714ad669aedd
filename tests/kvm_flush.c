/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_flush.c - a way to make KVM notice changed page tables is found, and found once. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "engine/err.h"
#include "engine/flush.h"
#include "engine/kvm.h"

Test(flush, a_way_is_found, .timeout = 60)
{
	static struct kvm kvm;
	enum flush_way way, again;
	struct err err = { 0 };

	cr_assert(eq(int, kvm_open(&kvm, &err), 0), "%s", err.text);
	cr_assert(eq(int, flush_way_find(&kvm, &way, &err), 0), "%s", err.text);
	cr_assert(eq(int, flush_way_find(&kvm, &again, &err), 0));
	cr_expect(eq(int, (int)way, (int)again));
	kvm_close(&kvm);
}
