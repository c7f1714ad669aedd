/* SPDX-License-Identifier: Apache-2.0 */
/* test_vcpu_exit.c - exits of KVM_RUN, made up: also those that this host's KVM never makes. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/vcpu.h"
#include "engine/vcpu_exit.h"
#include "engine/vm.h"

#define DATA 4096u /* where KVM would put the bytes of port I/O */
#define PORT 0x60u

static struct vm *vm;
static struct vcpu *v;
static struct kvm_run *run;
static struct err err;

/* A device that counts, and stops the vCPU at its access number @stop_at. */
static struct {
	int calls, stop_at, answer;
	char text[32];
} dev;

static int on_access(void *arg, const struct bus_access *access)
{
	size_t used = strlen(dev.text);

	(void)arg;
	if (access->is_write)
		memcpy(dev.text + used, access->data, access->len);
	else
		memset(access->data, '0' + dev.calls, access->len);
	return ++dev.calls == dev.stop_at ? dev.answer : 0;
}

static void setup(void)
{
	struct bus_range range = { PORT, 8, on_access, NULL };

	vm = calloc(1, sizeof(*vm));
	run = calloc(1, 2 * DATA);
	v = &vm->vcpus[0];
	*v = (struct vcpu){ .vm = vm, .run = run, .fd = -1 };
	cr_assert(eq(int, bus_add(&vm->pio, &range, &err), 0));
	cr_assert(eq(int, bus_add(&vm->mmio, &range, &err), 0));
}

static void teardown(void)
{
	free(vm);
	free(run);
}

TestSuite(vcpu_exit, .init = setup, .fini = teardown);

static char *io(uint8_t direction, uint8_t size, uint32_t count)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = direction;
	run->io.size = size;
	run->io.port = PORT;
	run->io.count = count;
	run->io.data_offset = DATA;
	return (char *)run + DATA;
}

Test(vcpu_exit, elements_of_a_string_to_a_port_are_handed_over_in_order)
{
	memcpy(io(KVM_EXIT_IO_OUT, 2, 4), "aabbccdd", 8);
	cr_expect(eq(int, vcpu_exit(v, &err), -EINTR));
	cr_expect(eq(int, dev.calls, 4));
	cr_expect(eq(str, dev.text, "aabbccdd"));
	cr_expect(eq(u64, v->stats.pio, 1));
}

Test(vcpu_exit, elements_of_a_string_from_a_port_land_one_behind_the_other)
{
	char *data = io(KVM_EXIT_IO_IN, 2, 3);

	memset(data, '-', 8);
	cr_expect(eq(int, vcpu_exit(v, &err), -EINTR));
	cr_expect(eq(int, memcmp(data, "001122--", 8), 0));
}

Test(vcpu_exit, a_device_that_stops_ends_the_string)
{
	dev.stop_at = 2;
	dev.answer = BUS_STOP;
	memcpy(io(KVM_EXIT_IO_OUT, 1, 4), "abcd", 4);
	cr_expect(eq(int, vcpu_exit(v, &err), VCPU_STOP_DEVICE));
	cr_expect(eq(str, dev.text, "ab"));
}

Test(vcpu_exit, what_a_device_answers_decides_what_comes_next)
{
	static const struct {
		int answer, ret;
	} cases[] = { { 0, -EINTR }, { BUS_STOP, VCPU_STOP_DEVICE }, { -EIO, -EIO } };

	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = PORT;
	run->mmio.len = 8;
	for (int i = 0; i < 3; i++) {
		dev.calls = 0;
		dev.stop_at = 1;
		dev.answer = cases[i].answer;
		cr_expect(eq(int, vcpu_exit(v, &err), cases[i].ret));
		cr_expect(eq(int, memcmp(run->mmio.data, "00000000", 8), 0));
	}
	cr_expect(eq(u64, v->stats.mmio, 3));
}

Test(vcpu_exit, reasons_without_a_device)
{
	static const struct {
		uint32_t reason;
		int ret;
		const char *text;
	} cases[] = {
		{ KVM_EXIT_INTR, -EINTR, "" },
		{ KVM_EXIT_IOAPIC_EOI, -EINTR, "" },
		{ KVM_EXIT_SHUTDOWN, VCPU_STOP_SHUTDOWN, "" },
		{ KVM_EXIT_SYSTEM_EVENT, VCPU_STOP_SHUTDOWN, "" },
		{ KVM_EXIT_FAIL_ENTRY, -ERR_CRASHED,
		  "the CPU refuses to enter the guest (reason 0x80000021)" },
		{ KVM_EXIT_HYPERCALL, -ERR_CRASHED, "unexpected KVM exit reason 3" },
		{ 0x7777, -ERR_CRASHED, "unexpected KVM exit reason 30583" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err e = { 0 };

		run->exit_reason = cases[i].reason;
		run->fail_entry.hardware_entry_failure_reason = 0x80000021;
		cr_expect(eq(int, vcpu_exit(v, &e), cases[i].ret), "reason %u",
			  cases[i].reason);
		cr_expect(eq(str, e.text, (char *)cases[i].text), "reason %u", cases[i].reason);
	}
	cr_expect(eq(int, dev.calls, 0));
}
