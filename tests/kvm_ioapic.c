/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_ioapic.c - interrupts from a line to a handler in the guest and back, through the IOAPIC, KVM
 * and both kinds of local APIC (tests/guest/kernels/pins.c); and that none is lost or made by a
 * freeze.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "devices/ioapic.h"
#include "engine/err.h"
#include "snapshot/format.h"
#include "snapshot/machine_state.h"
#include "tests/guest/kernels/pins.h"
#include "tests/helpers_kvm.h"

#define PIN    9u
#define LOW    (IOAPIC_REDIRECTION + 2 * PIN)
#define VECTOR (PINS_VECTOR + 1)
#define LEVEL  ((uint32_t)IOAPIC_LEVEL)
#define MASKED ((uint32_t)IOAPIC_MASKED)

static struct booted b, again;
static struct err err;

static const char *const apics[] = { "x2apic", "xapic" };

/* The device at the pin: its line falls when the guest has served it as often as this. */
static unsigned int work;

static int on_port(void *vm, const struct bus_access *access)
{
	if (access->is_write && work > 0 && --work == 0)
		irq_set(vm, PIN, false);
	return 0;
}

static void add_port(struct machine *m)
{
	const struct bus_range port = { PINS_PORT, 1, on_port, &m->vm };

	cr_assert(eq(int, bus_add(&m->vm.pio, &port, &err), 0), "%s", err.text);
}

static struct machine *boot(const char *apic)
{
	booted_kernel(&b, "tests/pins.elf", apic);
	add_port(&b.machine);
	return &b.machine;
}

static void setup(void)
{
	booted_ram(16 << 20);
	booted_kind(&kind_linux);
}

TestSuite(ioapic, .init = setup, .timeout = 60);

static struct ioapic *chip_of(const struct machine *m)
{
	return container_of(vm_device(&m->vm, &ioapic_type), struct ioapic, dev);
}

static struct pins_report tell(struct machine *m, struct pins_order o)
{
	struct invocation inv = { .event = &o,
				  .len = sizeof(o),
				  .deadline = clock_monotonic() + slow() * 10 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	struct pins_report r;

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, sizeof(r)));
	memcpy(&r, reply.data, sizeof(r));
	return r;
}

static void program(struct machine *m, uint32_t entry)
{
	tell(m, (struct pins_order){ PINS_WRITE, LOW, entry });
}

/* Remote IRR, as the guest reads it. */
static bool is_served(struct machine *m)
{
	return tell(m, (struct pins_order){ PINS_READ, LOW, 0 }).value & IOAPIC_REMOTE_IRR;
}

/* Interrupts since the boot, with those that come now. */
static uint32_t served(struct machine *m)
{
	return tell(m, (struct pins_order){ .what = PINS_SERVE }).taken;
}

static uint32_t taken(struct machine *m)
{
	return tell(m, (struct pins_order){ .what = PINS_TAKE }).taken;
}

static void end_interrupt(struct machine *m)
{
	tell(m, (struct pins_order){ .what = PINS_END });
}

static void set_work(struct machine *m, unsigned int n)
{
	work = n;
	irq_set(&m->vm, PIN, true);
}

static void check_edges(struct machine *m)
{
	program(m, VECTOR);
	cr_expect(eq(u32, served(m), 0));
	irq_pulse(&m->vm, PIN);
	cr_expect(eq(u32, served(m), 1));
	irq_pulse(&m->vm, PIN);
	irq_pulse(&m->vm, PIN); /* the local APIC has it already */
	cr_expect(eq(u32, served(m), 2));
	program(m, VECTOR | MASKED);
	irq_pulse(&m->vm, PIN);
	program(m, VECTOR);
	cr_expect(eq(u32, served(m), 2));
	cr_expect(eq(u64, chip_of(m)->eois, 0)); /* an edge's costs no exit */
	cr_expect(eq(u64, chip_of(m)->route_updates, 0));
}

Test(ioapic, edges_come_once_each)
{
	for (size_t i = 0; i < ARRAY_SIZE(apics); i++) {
		check_edges(boot(apics[i]));
		booted_free(&b);
	}
}

/* A device with work for two. Where an interrupt is over before its handler says so (see
 * the_end_of_an_interrupt_is_the_guests), there may be one more. */
static void check_level(struct machine *m, uint32_t before)
{
	cr_expect(eq(int, is_served(m), 1));
	served(m);
	cr_expect(eq(u32, work, 0));
	cr_expect(eq(int, is_served(m), 0));
	cr_expect(ge(u32, served(m), before + 2));
	cr_expect(le(u32, served(m), before + 3));
}

Test(ioapic, a_level_comes_again_at_its_end_until_it_falls)
{
	for (size_t i = 0; i < ARRAY_SIZE(apics); i++) {
		struct machine *m = boot(apics[i]);

		program(m, VECTOR | LEVEL);
		set_work(m, 2);
		check_level(m, 0);
		cr_expect(ge(u64, chip_of(m)->eois, 2));
		cr_expect(eq(u64, chip_of(m)->route_updates, 1));
		booted_free(&b);
	}
}

/* As of a handler that masks its pin, and serves the device later. */
Test(ioapic, the_end_of_a_masked_one_is_heard)
{
	struct machine *m = boot("x2apic");

	program(m, VECTOR | LEVEL);
	set_work(m, 3);
	program(m, VECTOR | LEVEL | MASKED);
	cr_expect(eq(u32, served(m), 1));
	cr_expect(eq(int, is_served(m), 0));
	cr_expect(eq(u32, served(m), 1));
	program(m, VECTOR | LEVEL);
	check_level(m, 1);
	booted_free(&b);
}

static volatile bool is_enough;

static void *pulse(void *vm)
{
	while (!is_enough) {
		irq_pulse(vm, PIN);
		usleep(500);
	}
	return NULL;
}

Test(ioapic, a_pulse_of_another_thread_wakes_a_guest)
{
	struct machine *m = boot("x2apic");
	struct pins_report r;
	pthread_t thread;

	program(m, VECTOR);
	cr_assert(eq(int, pthread_create(&thread, NULL, pulse, &m->vm), 0));
	r = tell(m, (struct pins_order){ PINS_WAIT, 0, 50 });
	is_enough = true;
	pthread_join(thread, NULL);
	cr_expect(ge(u32, r.taken, 50));
	booted_free(&b);
}

/* Its state through a file's bytes, and its RAM, into another machine. */
static void thaw(struct machine *to, struct machine *from)
{
	static struct machine_state saved, loaded;
	struct state_writer w = { 0 };
	struct vcpu_tsc_now now;
	struct state_file f;

	cr_assert(eq(int, machine_state_init_for(&saved, from, &err), 0), "%s", err.text);
	cr_assert(eq(int, machine_state_init_for(&loaded, to, &err), 0), "%s", err.text);
	worker_lock(&from->vm.worker);
	cr_assert(eq(int, machine_state_save(&saved, from, &err), 0), "%s", err.text);
	worker_unlock(&from->vm.worker);
	cr_assert(eq(int, machine_state_encode(&saved, &w, &err), 0), "%s", err.text);
	cr_assert(eq(int, state_file_parse(&f, w.buf, w.len, &err), 0), "%s", err.text);
	cr_assert(eq(int, machine_state_decode(&loaded, &f, &err), 0), "%s", err.text);
	if (to != from)
		memcpy(to->vm.mem.regions[0].host, from->vm.mem.regions[0].host,
		       from->vm.mem.regions[0].size);
	cr_assert(eq(int, machine_state_load(&loaded, to, &now, &err), 0), "%s", err.text);
	cr_assert(eq(int, machine_renew(to, &now, &err), 0), "%s", err.text);
	state_writer_fini(&w);
	machine_state_fini(&saved);
	machine_state_fini(&loaded);
}

static struct machine *thawed(void)
{
	booted_shell(&again);
	add_port(&again.machine);
	thaw(&again.machine, &b.machine);
	return &again.machine;
}

/* Sent when the guest was frozen already, or just before: KVM has it, and so has the image. */
Test(ioapic, what_was_sent_and_not_taken_yet_comes_after_the_thaw)
{
	for (size_t i = 0; i < ARRAY_SIZE(apics); i++) {
		struct machine *m = boot(apics[i]);

		program(m, VECTOR);
		irq_pulse(&m->vm, PIN);
		cr_expect(eq(u32, served(thawed()), 1));
		cr_expect(eq(u32, served(&again.machine), 1));
		booted_free(&again);
		cr_expect(eq(u32, served(m), 1));
		booted_free(&b);
	}
}

Test(ioapic, a_level_that_is_up_goes_on_after_the_thaw)
{
	for (size_t i = 0; i < ARRAY_SIZE(apics); i++) {
		struct machine *m = boot(apics[i]);

		program(m, VECTOR | LEVEL);
		set_work(m, 2);
		check_level(thawed(), 0);
		booted_free(&again);
		work = 2;
		check_level(m, 0);
		booted_free(&b);
	}
}

/* Where ring 0 is emulated, the guest may be at its mailbox before KVM tells us of the end. */
Test(ioapic, an_end_just_before_the_freeze_is_not_lost)
{
	struct machine *m = boot("x2apic");

	program(m, VECTOR | LEVEL);
	irq_pulse(&m->vm, PIN);
	cr_expect(eq(u32, tell(m, (struct pins_order){ PINS_WAIT, 0, 1 }).taken, 1));
	cr_expect(eq(int, is_served(thawed()), 0));
	set_work(&again.machine, 2);
	check_level(&again.machine, 1);
	booted_free(&again);
	booted_free(&b);
}

/* Two taken by turns. */
static bool has_ends(struct machine *m)
{
	bool has;

	program(m, VECTOR);
	irq_pulse(&m->vm, PIN);
	taken(m);
	irq_pulse(&m->vm, PIN);
	has = taken(m) == 1;
	end_interrupt(m);
	cr_expect(eq(u32, taken(m), 2));
	end_interrupt(m);
	return has;
}

static void check_service(struct machine *m)
{
	uint64_t eois = chip_of(m)->eois;

	cr_expect(eq(int, is_served(m), 1));
	cr_expect(eq(u32, taken(m), 3));
	end_interrupt(m);
	cr_expect(eq(u64, chip_of(m)->eois, eois + 1));
	cr_expect(eq(u32, taken(m), 4)); /* still up */
	irq_set(&m->vm, PIN, false);
	end_interrupt(m);
	cr_expect(eq(int, is_served(m), 0));
	cr_expect(eq(u32, taken(m), 4));
}

Test(ioapic, the_end_of_an_interrupt_is_the_guests_also_after_the_thaw)
{
	for (size_t i = 0; i < ARRAY_SIZE(apics); i++) {
		struct machine *m = boot(apics[i]);

		if (!has_ends(m))
			cr_skip_test("this KVM ends interrupts when it delivers them");
		program(m, VECTOR | LEVEL);
		irq_set(&m->vm, PIN, true);
		cr_expect(eq(u32, taken(m), 3));
		check_service(thawed());
		booted_free(&again);
		check_service(m);
		booted_free(&b);
	}
}

Test(ioapic, the_same_state_again_tells_kvm_nothing)
{
	struct machine *m = boot("x2apic");

	program(m, VECTOR | LEVEL);
	for (int i = 0; i < 3; i++)
		thaw(m, m);
	cr_expect(eq(u64, chip_of(m)->route_updates, 1));
	booted_free(&b);
}
