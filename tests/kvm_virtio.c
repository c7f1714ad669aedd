/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_virtio.c - a virtio device between a driver in a machine (tests/guest/kernels/virtio.c), KVM's
 * ioeventfd, the device thread and the IOAPIC; frozen with a request that nobody was told of, restored
 * and rewound.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <string.h>

#include "devices/board.h"
#include "devices/virtio_rng.h"
#include "engine/err.h"
#include "snapshot/rewind.h"
#include "tests/guest/kernels/virtio.h"
#include "tests/helpers_kvm.h"

static struct booted b;
static struct frozen f;
static struct clone c;

static void boot(void)
{
	booted_kind(&kind_linux);
	booted_kernel(&b, "tests/virtio.elf", "");
}

static struct virtio_report ask(struct machine *m)
{
	struct invocation inv = { .deadline = clock_monotonic() + slow() * 20 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	struct virtio_report r = { 0 };
	struct err err = { 0 };

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, sizeof(r)));
	memcpy(&r, reply.data, sizeof(r));
	cr_expect(eq(u32, r.status, 0xf));
	cr_expect(eq(u32, r.served, VIRTIO_REQUESTS + 1));
	cr_expect(ne(int, memcmp(r.first, r.last, VIRTIO_BYTES), 0));
	return r;
}

static struct virtio_dev *rng_of(struct machine *m)
{
	return virtio_of(vm_device(&m->vm, &virtio_rng_type));
}

Test(virtio, notifications_reach_the_device_thread_and_interrupts_come_back, .timeout = 120)
{
	struct virtio_report r;
	struct vcpu_stats *stats = &b.machine.vm.vcpus[0].stats;
	uint64_t mmio;

	boot();
	/* Nobody was told of the first request: that is lost here, and found after a thaw only. */
	virtio_kick_later(rng_of(&b.machine), 0);
	mmio = stats->mmio;
	r = ask(&b.machine);
	mmio = stats->mmio - mmio;
	cr_log_info("%" PRIu64 " MMIO exits and %" PRIu64
		    " interrupts for %u requests, %" PRIu64 " ticks each",
		    mmio, r.interrupts, r.served, r.ticks / r.served);
	cr_expect(gt(u64, r.interrupts, 0));
	cr_expect(eq(u64, rng_of(&b.machine)->violations, 0));
	/* An interrupt is two, status and acknowledgement; a notification is none. */
	cr_expect(le(u64, mmio, 2 * r.interrupts + 4));
	booted_free(&b);
}

Test(virtio, requests_are_served_after_restore_and_rewind_and_no_two_are_alike, .timeout = 240)
{
	const struct tier *const *t = frozen_tiers();
	struct virtio_report r[2], again;
	struct rewind rewind;
	struct err err = { 0 };

	boot();
	frozen_from(&f, &b.machine);
	booted_free(&b);
	for (; *t; t++) {
		for (int i = 0; i < 2; i++) {
			clone_make(&c, &f, *t);
			r[i] = ask(&c.machine);
			clone_free(&c);
		}
		cr_expect(ne(int, memcmp(r[0].first, r[1].first, VIRTIO_BYTES), 0));
		cr_expect(ne(int, memcmp(r[0].last, r[1].last, VIRTIO_BYTES), 0));
	}
	clone_make(&c, &f, &tier_map);
	cr_assert(eq(int, rewind_open(&rewind, &c.machine, &f.template, &err), 0), "%s",
		  err.text);
	r[0] = ask(&c.machine);
	for (int i = 0; i < 20; i++) {
		worker_lock(&c.machine.vm.worker);
		cr_assert(eq(int, rewind_machine(&rewind, &c.machine, &err), 0), "%s",
			  err.text);
		worker_unlock(&c.machine.vm.worker);
		again = ask(&c.machine);
		cr_expect(ne(int, memcmp(r[0].first, again.first, VIRTIO_BYTES), 0));
		r[0] = again;
	}
	rewind_close(&rewind);
	clone_free(&c);
	frozen_free(&f);
}

/* The guest was still, as KVM counts, and what reached its local APIC comes of nothing that it did. */
Test(virtio, an_interrupt_that_came_too_late_is_gone_after_a_rewind, .timeout = 240)
{
	struct invocation nothing = { .event = "", .deadline = 0 };
	struct mailbox_reply reply;
	struct rewind rewind;
	struct err err = { 0 };

	booted_kind(&kind_linux);
	booted_kernel(&b, "tests/still.elf", "");
	frozen_from(&f, &b.machine);
	booted_free(&b);
	clone_make(&c, &f, &tier_map);
	cr_assert(eq(int, rewind_open(&rewind, &c.machine, &f.template, &err), 0), "%s",
		  err.text);
	for (int i = 0; i < 10; i++) {
		cr_assert(eq(int, machine_invoke(&c.machine, &nothing, &reply, NULL, &err), 0),
			  "%s", err.text);
		worker_lock(&c.machine.vm.worker);
		irq_pulse(&c.machine.vm, BOARD_VIRTIO_GSI);
		worker_unlock(&c.machine.vm.worker);
		worker_lock(&c.machine.vm.worker);
		cr_assert(eq(int, rewind_machine(&rewind, &c.machine, &err), 0), "%s",
			  err.text);
		cr_assert(eq(int, rewind_verify(&rewind, &c.machine, &err), 0), "%s", err.text);
		worker_unlock(&c.machine.vm.worker);
	}
	rewind_close(&rewind);
	clone_free(&c);
	frozen_free(&f);
}
