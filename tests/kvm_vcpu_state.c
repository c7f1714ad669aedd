/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_vcpu_state.c - what is saved is what was loaded, part by part; and what KVM refuses is
 * named.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "engine/x86.h"
#include "tests/helpers_kvm.h"

static struct booted b;
static struct vcpu_state saved, again;
static struct vcpu_tsc_now now;
static struct err err;

/* A machine with a past: kindling and a C library have run in it. */
static void setup(void)
{
	const char *const argv[] = { "echo", NULL };
	struct vcpu *v = &b.machine.vm.vcpus[0];

	booted_make(&b, guest_path("echo"), argv);
	cr_assert(eq(int, machine_wait(&b.machine, clock_monotonic() + 10 * NSEC_PER_SEC, &err),
		     0),
		  "%s", err.text);
	cr_assert(eq(int, vcpu_complete(v, &err), 0), "%s", err.text);
	cr_assert(eq(int, vcpu_state_save(&b.kvm, v->fd, &saved, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	if (b.machine.mailbox)
		booted_free(&b);
}

TestSuite(vcpu_state, .init = setup, .fini = teardown, .timeout = 60);

/* Clocks that go on between a save and a load: the TSC, and Hyper-V's HV_X64_MSR_VP_RUNTIME and
 * HV_X64_MSR_TIME_REF_COUNT, which KVM lists on hosts with hardware virtualization. */
static bool msr_is_clock(uint64_t index)
{
	return index == MSR_IA32_TSC || index == 0x40000010 || index == 0x40000020;
}

/* One section of two states; differences in clocks do not count. */
static void expect_same(const struct vcpu_section *sec)
{
	const uint8_t *x = (const uint8_t *)&saved, *y = (const uint8_t *)&again;
	uint32_t n = 1, size = sec->desc->size;

	if (sec->count_off) {
		n = (uint32_t)state_int(x + sec->count_off, 4);
		cr_assert(eq(u32, n, (uint32_t)state_int(y + sec->count_off, 4)), "%s",
			  sec->desc->name);
		cr_expect(gt(u32, n, 0), "%s is empty", sec->desc->name);
	}
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *a = x + sec->off + (size_t)i * size;

		if (strcmp(sec->desc->name, "vcpu.msrs") == 0 && msr_is_clock(state_int(a, 4)))
			continue;
		cr_expect(eq(int, memcmp(a, y + sec->off + (size_t)i * size, size), 0),
			  "%s[%u] (0x%llx)", sec->desc->name, i,
			  (unsigned long long)state_int(a, MIN(size, 4u)));
	}
}

Test(vcpu_state, saved_loaded_into_a_fresh_vm_and_saved_again_is_the_same)
{
	static struct booted fresh;
	int fd;

	booted_shell(&fresh);
	fd = fresh.machine.vm.vcpus[0].fd;
	cr_assert(eq(int, vcpu_state_load(&fresh.kvm, fd, &saved, &now, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, vcpu_state_save(&fresh.kvm, fd, &again, &err), 0), "%s", err.text);
	for (uint32_t i = 0; i < vcpu_nsections; i++) {
		if (strcmp(vcpu_sections[i].desc->name, "vcpu.tsc") != 0)
			expect_same(&vcpu_sections[i]);
	}
	cr_expect(eq(u32, again.tsc.khz, saved.tsc.khz));
	cr_expect(gt(u64, again.tsc.value, saved.tsc.value)); /* set or not, it goes on */
	booted_free(&fresh);
}

/* The state is of a machine that did something: an empty one would pass the test above. */
Test(vcpu_state, the_state_has_what_the_guest_did)
{
	cr_expect(eq(u64, saved.xcrs.xcrs[0].value, b.kvm.xcr0));
	cr_expect(eq(u32, saved.nxsave * 8, b.kvm.xsave_size));
	cr_expect(ne(u64, saved.regs.rsp, 0));
	cr_expect(ne(u64, saved.regs.rip, 0));
	cr_expect(ne(u64, saved.sregs.cr3, 0));
	cr_expect(ne(u64, saved.sregs.fs.base, 0)); /* the C library's thread block */
	cr_expect(eq(u32, saved.msrs.entries[0].index, MSR_IA32_TSC));
	cr_expect(eq(u64, saved.msrs.entries[0].data, saved.tsc.value));
	cr_expect(gt(u32, saved.msrs.n, 10));
	cr_expect(eq(u32, saved.cpuid.n, b.kvm.cpuid.n));
	cr_expect(eq(u32, saved.tsc.khz, b.kvm.tsc_khz));
}

Test(vcpu_state, a_bad_descriptor_is_named_by_the_first_part)
{
	cr_expect(eq(int, vcpu_state_save(&b.kvm, -1, &again, &err), -EBADF));
	cr_expect(eq(str, err.text, "KVM_GET_MP_STATE: Bad file descriptor"));
	cr_expect(eq(int, vcpu_state_load(&b.kvm, -1, &saved, &now, &err), -EBADF));
	cr_expect(eq(str, err.text, "KVM_SET_MP_STATE: Bad file descriptor"));
}

static int load(void)
{
	return vcpu_state_load(&b.kvm, b.machine.vm.vcpus[0].fd, &saved, &now, &err);
}

/* With ignore_msrs KVM takes any MSR; nothing can be refused there. */
static void need_refusals(void)
{
	FILE *f = fopen("/sys/module/kvm/parameters/ignore_msrs", "re");
	int answer = f ? getc(f) : 'N';

	if (f)
		fclose(f);
	if (answer == 'Y')
		cr_skip_test("kvm.ignore_msrs is set");
}

Test(vcpu_state, an_msr_that_kvm_refuses_is_named_wherever_it_stands)
{
	need_refusals();
	for (uint32_t at = 1; at <= saved.msrs.n; at += saved.msrs.n / 3) {
		struct kvm_msr_entry kept = saved.msrs.entries[at];

		saved.msrs.n += at == saved.msrs.n;
		saved.msrs.entries[at] =
			(struct kvm_msr_entry){ .index = 0xdeadbeef, .data = 0x77 };
		cr_expect(eq(int, load(), -ERR_UNFIT), "at %u", at);
		cr_expect(eq(str, err.text,
			     "KVM_SET_MSRS: KVM here refuses MSR 0xdeadbeef = 0x77"));
		saved.msrs.entries[at] = kept;
	}
}

Test(vcpu_state, what_kvm_refuses_is_named)
{
	saved.xsave[512 / 8] |= UINT64_C(1) << 62; /* XSTATE_BV: SDM vol. 1, 13.4.2 */
	cr_expect(eq(int, load(), -EINVAL));
	cr_expect(eq(str, err.text, "KVM_SET_XSAVE: Invalid argument"));
	saved.xsave[512 / 8] &= ~(UINT64_C(1) << 62);

	saved.xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	cr_expect(eq(int, load(), -EINVAL));
	cr_expect(eq(str, err.text, "KVM_SET_XCRS: Invalid argument"));
	saved.xcrs.nr_xcrs = 1;

	saved.mp_state.mp_state = 0x7777;
	cr_expect(eq(int, load(), -EINVAL));
	cr_expect(eq(str, err.text, "KVM_SET_MP_STATE: Invalid argument"));
	saved.mp_state.mp_state = KVM_MP_STATE_RUNNABLE;

	saved.debugregs.flags = 0x7777;
	cr_expect(eq(int, load(), -EINVAL));
	cr_expect(eq(str, err.text, "KVM_SET_DEBUGREGS: Invalid argument"));
	saved.debugregs.flags = 0;

	cr_expect(eq(int, load(), 0), "%s", err.text); /* nothing else was wrong */
}
