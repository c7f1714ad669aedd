/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_ioapic.c - the registers of the IOAPIC and what it sends, without KVM: msi_send and
 * msi_set_routes are this file's.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board.h"
#include "devices/ioapic.h"
#include "engine/err.h"
#include "engine/msi.h"
#include "engine/vm.h"

#define PIN    5u
#define VECTOR 0x41u
#define LEVEL  ((uint32_t)IOAPIC_LEVEL)
#define MASKED ((uint32_t)IOAPIC_MASKED)

static struct vm *vm;
static struct ioapic *io;
static struct err err;

static struct {
	unsigned int sent, updates;
	struct msi last;
	bool is_off; /* no CPU takes anything */
	int held;    /* what local APICs hold */
	int fails;   /* what the call for routes comes back with */
	struct msi pins[IRQ_PINS];
} kvm;

bool msi_send(const struct vm *to, struct msi msg)
{
	cr_assert(eq(ptr, (void *)(uintptr_t)to, vm));
	kvm.sent++;
	kvm.last = msg;
	return !kvm.is_off;
}

int msi_set_routes(const struct vm *to, const struct msi pins[IRQ_PINS], struct err *e)
{
	cr_assert(eq(ptr, (void *)(uintptr_t)to, vm));
	(void)e;
	kvm.updates++;
	memcpy(kvm.pins, pins, sizeof(kvm.pins));
	return kvm.fails;
}

int msi_is_held(const struct vm *of, uint8_t vector, struct err *e)
{
	cr_assert(eq(ptr, (void *)(uintptr_t)of, vm));
	(void)e;
	return vector == VECTOR ? kvm.held : 1;
}

static void setup(void)
{
	const struct device_spec spec = { .type = &ioapic_type };

	vm = calloc(1, sizeof(*vm));
	vm->mmio.name = "mmio";
	vm->devices[0] = device_create(&spec, vm, &err);
	cr_assert(ne(ptr, vm->devices[0], NULL), "%s", err.text);
	vm->ndevices = 1;
	io = container_of(vm->devices[0], struct ioapic, dev);
}

static void teardown(void)
{
	device_destroy(vm->devices[0]);
	free(vm);
}

TestSuite(ioapic, .init = setup, .fini = teardown);

static int store(uint32_t off, uint32_t value)
{
	return bus_access(&vm->mmio, BOARD_IOAPIC_GPA + off, &value, sizeof(value), true);
}

static uint32_t load(uint32_t off)
{
	uint32_t value;

	cr_assert(
		eq(int,
		   bus_access(&vm->mmio, BOARD_IOAPIC_GPA + off, &value, sizeof(value), false),
		   0));
	return value;
}

static int put(uint32_t reg, uint32_t value)
{
	cr_assert(eq(int, store(IOAPIC_SELECT, reg), 0));
	return store(IOAPIC_WINDOW, value);
}

static uint32_t get(uint32_t reg)
{
	cr_assert(eq(int, store(IOAPIC_SELECT, reg), 0));
	return load(IOAPIC_WINDOW);
}

static uint32_t low(uint32_t pin)
{
	return IOAPIC_REDIRECTION + 2 * pin;
}

static void program(uint32_t pin, uint32_t value)
{
	cr_assert(eq(int, put(low(pin), value), 0));
}

static bool is_served(uint32_t pin)
{
	return get(low(pin)) & IOAPIC_REMOTE_IRR;
}

Test(ioapic, reads_as_version_0x20_with_24_masked_pins)
{
	cr_expect(eq(u32, get(IOAPIC_ID), BOARD_IOAPIC_ID << 24));
	cr_expect(eq(u32, get(IOAPIC_VERSION), 0x00170020));
	for (uint32_t pin = 0; pin < IRQ_PINS; pin++) {
		cr_expect(eq(u32, get(low(pin)), MASKED), "pin %u", pin);
		cr_expect(eq(u32, get(low(pin) + 1), 0), "pin %u", pin);
	}
	cr_expect(eq(u32, get(low(IRQ_PINS)), 0));
	cr_expect(eq(u32, get(0xff), 0));
}

Test(ioapic, keeps_what_can_be_written_and_nothing_else)
{
	cr_expect(eq(int, put(IOAPIC_ID, 0xffffffff), 0));
	cr_expect(eq(u32, get(IOAPIC_ID), 0x0f000000));
	cr_expect(eq(u32, get(IOAPIC_ARBITRATION), 0x0f000000));
	cr_expect(eq(int, put(IOAPIC_VERSION, 0), 0));
	cr_expect(eq(u32, get(IOAPIC_VERSION), 0x00170020));
	for (uint32_t pin = 0; pin < IRQ_PINS; pin++) {
		program(pin, 0xffffffff);
		cr_expect(eq(int, put(low(pin) + 1, 0xffffffff), 0));
		cr_expect(eq(u32, get(low(pin)), 0x1afff), "pin %u", pin);
		cr_expect(eq(u32, get(low(pin) + 1), 0xff000000), "pin %u", pin);
	}
	cr_expect(eq(int, put(low(IRQ_PINS), 0xffffffff), 0));
	store(IOAPIC_SELECT, 0x12345678);
	cr_expect(eq(u32, load(IOAPIC_SELECT), 0x78));
	cr_expect(eq(u64, io->violations, 0));
}

Test(ioapic, refuses_other_widths_and_places)
{
	uint64_t wide = 0x1111;

	for (uint32_t len = 1; len <= 8; len *= 2) {
		if (len == 4)
			continue;
		cr_expect(
			eq(int, bus_access(&vm->mmio, BOARD_IOAPIC_GPA, &wide, len, true), 0));
		cr_expect(
			eq(int, bus_access(&vm->mmio, BOARD_IOAPIC_GPA, &wide, len, false), 0));
	}
	cr_expect(eq(u64, wide, UINT64_MAX));
	cr_expect(eq(u32, load(0x20), 0));
	cr_expect(eq(int, store(0x11, 0x1111), 0));
	cr_expect(eq(u64, io->violations, 8));
	cr_expect(eq(u32, load(IOAPIC_SELECT), 0));
}

Test(ioapic, an_edge_is_sent_once_as_its_entry_says)
{
	cr_expect(eq(int, put(low(PIN) + 1, 0x7f000000), 0));
	program(PIN, VECTOR | 0x100 | (uint32_t)IOAPIC_LOGICAL);
	irq_set(vm, PIN, true);
	cr_expect(eq(u32, kvm.last.address, 0xfee7f004));
	cr_expect(eq(u32, kvm.last.data, 0x141));
	irq_set(vm, PIN, true);
	cr_expect(eq(u32, kvm.sent, 1));
	cr_expect(eq(u64, io->coalesced, 1));
	irq_set(vm, PIN, false);
	irq_pulse(vm, PIN);
	irq_pulse(vm, PIN);
	cr_expect(eq(u32, kvm.sent, 3));
	cr_expect(eq(u64, io->delivered, 3));
	cr_expect(eq(int, is_served(PIN), 0));
	cr_expect(eq(u32, kvm.updates, 0)); /* KVM need not know */
}

Test(ioapic, edges_at_a_masked_pin_are_lost)
{
	program(PIN, VECTOR | MASKED);
	irq_pulse(vm, PIN);
	irq_set(vm, PIN, true);
	program(PIN, VECTOR);
	cr_expect(eq(u32, kvm.sent, 0));
	cr_expect(eq(u64, io->coalesced, 2));
	irq_set(vm, PIN, false);
	irq_pulse(vm, PIN);
	cr_expect(eq(u32, kvm.sent, 1));
}

Test(ioapic, a_level_comes_again_at_each_end_until_it_falls)
{
	program(PIN, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	cr_expect(eq(u32, kvm.last.data, VECTOR | 0x8000));
	irq_set(vm, PIN, true);
	cr_expect(eq(u32, kvm.sent, 1));
	cr_expect(eq(int, is_served(PIN), 1));
	irq_eoi(vm, VECTOR + 1);
	cr_expect(eq(u32, kvm.sent, 1));
	irq_eoi(vm, VECTOR);
	cr_expect(eq(u32, kvm.sent, 2));
	cr_expect(eq(int, is_served(PIN), 1));
	irq_set(vm, PIN, false);
	cr_expect(eq(int, is_served(PIN), 1)); /* the CPU is still at it */
	irq_eoi(vm, VECTOR);
	cr_expect(eq(u32, kvm.sent, 2));
	cr_expect(eq(int, is_served(PIN), 0));
	cr_expect(eq(u64, io->eois, 3));
}

Test(ioapic, the_eoi_register_is_an_end_of_interrupt)
{
	program(PIN, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	irq_set(vm, PIN, false);
	cr_expect(eq(int, store(IOAPIC_EOI, VECTOR), 0));
	cr_expect(eq(int, is_served(PIN), 0));
}

Test(ioapic, pins_that_share_a_vector_end_together)
{
	program(PIN, VECTOR | LEVEL);
	program(PIN + 1, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	irq_set(vm, PIN + 1, true);
	irq_set(vm, PIN, false);
	irq_eoi(vm, VECTOR);
	cr_expect(eq(int, is_served(PIN), 0));
	cr_expect(eq(int, is_served(PIN + 1), 1));
	cr_expect(eq(u32, kvm.sent, 3));
}

Test(ioapic, a_level_waits_for_its_mask_to_go)
{
	program(PIN, VECTOR | LEVEL | MASKED);
	irq_set(vm, PIN, true);
	cr_expect(eq(u32, kvm.sent, 0));
	program(PIN, VECTOR | LEVEL);
	cr_expect(eq(u32, kvm.sent, 1));
	program(PIN, VECTOR | LEVEL | MASKED);
	irq_eoi(vm, VECTOR);
	cr_expect(eq(u32, kvm.sent, 1));
	cr_expect(eq(int, is_served(PIN), 0));
	program(PIN, VECTOR | LEVEL);
	cr_expect(eq(u32, kvm.sent, 2));
}

Test(ioapic, what_nobody_takes_is_not_served)
{
	kvm.is_off = true;
	program(PIN, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	cr_expect(eq(int, is_served(PIN), 0));
	cr_expect(eq(u64, io->refused, 1));
	kvm.is_off = false;
	irq_set(vm, PIN, true);
	cr_expect(eq(int, is_served(PIN), 1));
}

Test(ioapic, modes_that_do_not_exist_are_not_sent)
{
	for (uint32_t mode = 0; mode < 8; mode++) {
		unsigned int sent = kvm.sent;
		bool exists = mode != 3 && mode != 6 && mode != 7;

		program(PIN, VECTOR | mode << 8);
		irq_pulse(vm, PIN);
		cr_expect(eq(u32, kvm.sent - sent, exists), "mode %u", mode);
	}
	cr_expect(eq(u64, io->refused, 3));
}

/* As Linux does it where there is no EOI register. */
Test(ioapic, an_entry_that_becomes_edge_triggered_is_not_served_any_more)
{
	program(PIN, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	program(PIN, VECTOR | MASKED);
	cr_expect(eq(int, is_served(PIN), 0));
	program(PIN, VECTOR | LEVEL);
	cr_expect(eq(u32, kvm.sent, 2));
}

Test(ioapic, kvm_is_told_of_level_triggered_pins_when_they_change)
{
	program(PIN, VECTOR);
	cr_expect(eq(u32, kvm.updates, 0));
	program(PIN, VECTOR | LEVEL | MASKED);
	cr_expect(eq(u32, kvm.updates, 1));
	cr_expect(eq(u32, kvm.pins[PIN].data, VECTOR | 0x8000));
	program(PIN, VECTOR | LEVEL);
	program(PIN, VECTOR | LEVEL | (uint32_t)IOAPIC_LOW);
	irq_set(vm, PIN, true);
	irq_eoi(vm, VECTOR);
	cr_expect(eq(u32, kvm.updates, 1));
	put(low(PIN) + 1, 0x02000000);
	cr_expect(eq(u32, kvm.updates, 2));
	cr_expect(eq(u32, kvm.pins[PIN].address, 0xfee02000));
	program(PIN, VECTOR);
	cr_expect(eq(u32, kvm.updates, 3));
	cr_expect(eq(u32, kvm.pins[PIN].data, 0));
	cr_expect(eq(u64, io->route_updates, 3));
}

Test(ioapic, a_host_that_takes_no_routes_ends_the_machine)
{
	kvm.fails = -ENOMEM;
	cr_expect(eq(int, put(low(PIN), VECTOR | LEVEL), -ENOMEM));
}

/* Load @s as a restore does. */
static int restore(const struct ioapic_state *s)
{
	int ret = state_load(&ioapic_type.state, &io->s, s, sizeof(*s), &err);

	return ret < 0 ? ret : ioapic_type.load(&io->dev, &err);
}

Test(ioapic, goes_on_in_the_middle_of_a_level_triggered_interrupt)
{
	struct ioapic_state saved;

	program(PIN, VECTOR | LEVEL);
	irq_set(vm, PIN, true);
	saved = io->s;
	irq_set(vm, PIN, false);
	irq_eoi(vm, VECTOR);
	program(PIN, VECTOR);
	cr_expect(eq(u32, kvm.updates, 2));

	cr_assert(eq(int, restore(&saved), 0), "%s", err.text);
	cr_expect(eq(u32, kvm.updates, 3));
	cr_expect(eq(u32, kvm.pins[PIN].data, VECTOR | 0x8000));
	cr_expect(eq(u32, kvm.sent, 1)); /* the local APIC has it */
	irq_eoi(vm, VECTOR);
	cr_expect(eq(u32, kvm.sent, 2));

	cr_assert(eq(int, restore(&saved), 0), "%s", err.text);
	cr_expect(eq(u32, kvm.updates, 3)); /* as a rewind: nothing to tell */
}

Test(ioapic, an_end_in_flight_comes_before_a_freeze)
{
	program(PIN, VECTOR | LEVEL);
	program(PIN + 1, (VECTOR + 1) | LEVEL);
	irq_set(vm, PIN, true);
	irq_set(vm, PIN + 1, true);
	kvm.held = 1;
	cr_expect(eq(int, ioapic_type.drain(&io->dev, &err), 0));
	cr_expect(eq(u32, kvm.sent, 2));
	kvm.held = 0;
	cr_expect(eq(int, ioapic_type.drain(&io->dev, &err), 0));
	cr_expect(eq(u32, kvm.sent, 3)); /* still up */
	irq_set(vm, PIN, false);
	cr_expect(eq(int, ioapic_type.drain(&io->dev, &err), 0));
	cr_expect(eq(int, is_served(PIN), 0));
	cr_expect(eq(int, is_served(PIN + 1), 1));
	irq_set(vm, PIN, true);
	kvm.held = -EIO;
	cr_expect(eq(int, ioapic_type.drain(&io->dev, &err), -EIO));
}

Test(ioapic, refuses_states_that_it_cannot_be_in)
{
	static const struct {
		uint64_t entry;
		const char *text;
	} cases[] = {
		{ IOAPIC_REMOTE_IRR, "dev.ioapic.redirection[5] is 0x4000, allowed are bits of "
				     "0xff0000000001afff" },
		{ UINT64_C(1) << 12, "dev.ioapic.redirection[5] is 0x1000, allowed are bits of "
				     "0xff0000000001afff" },
		{ IOAPIC_LEVEL | UINT64_C(1) << 40,
		  "dev.ioapic.redirection[5] is 0x10000008000, allowed are bits of "
		  "0xff0000000001efff" },
	};
	struct ioapic_state s = io->s;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		s.redirection[PIN] = cases[i].entry;
		cr_expect(eq(int, restore(&s), -ERANGE));
		cr_expect(eq(str, err.text, (char *)cases[i].text));
	}
	s.redirection[PIN] = IOAPIC_LEVEL | IOAPIC_REMOTE_IRR;
	cr_expect(eq(int, restore(&s), 0), "%s", err.text);
	s.lines = 1u << IRQ_PINS;
	cr_expect(eq(int, restore(&s), -ERANGE));
	s.lines = 0;
	s.select = 256;
	cr_expect(eq(int, restore(&s), -ERANGE));
	s.select = 0;
	s.id = 16;
	cr_expect(eq(int, restore(&s), -ERANGE));
}

Test(ioapic, is_there_once)
{
	const struct device_spec spec = { .type = &ioapic_type };

	cr_expect(eq(ptr, device_create(&spec, vm, &err), NULL));
}
