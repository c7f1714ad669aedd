/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_scribble.c - a guest that scribbles over all registers, ports and rings (tests/guest/kernels/scribble.c):
 * whatever it does, and whoever pauses, rewinds, forks or saves its machine meanwhile, this process
 * goes on, is back in time and does not grow; nothing beside guest memory is written to; its machine is what
 * it was after a rewind; and its drives' files are.
 *
 * SCRIBBLE_SECONDS=N: for so long; default 5. SCRIBBLE_SEED=N: of the first event. Default 1.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/ioapic.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "engine/err.h"
#include "snapshot/disks.h"
#include "snapshot/fork.h"
#include "snapshot/restore.h"
#include "snapshot/rewind.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"

/* Of resident memory; ours. Under ASan what was freed stays for a while (quarantine_size_mb, 256). */
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_MAX (320u << 20)
#else
#define GROWTH_MAX (16u << 20)
#endif
#define EVENTS_EACH 5u		       /* of a machine */
#define SETTLED	    12u		       /* machines until this process is as large as it gets */
#define EVENT_NS    (2 * NSEC_PER_SEC) /* for an event; it takes milliseconds */
#define LATE_NS	    (5 * NSEC_PER_SEC) /* after that, times slow(), we have to be back */
#define DRIVE_SIZE  (8u << 20)	       /* scribble.c's SECTORS */

static struct frozen f;
static struct disks disks;
static char scratch[256];
static struct err err;
static int noise; /* a descriptor that always has something */

/* What came of it all. */
static struct {
	uint64_t machines, lived, crashed, late, paused, verified, saved;
	uint64_t kicks, interrupts, edges, refused, violations, blocks, errors, input;
} sum;

static unsigned long number_of(const char *name, unsigned long otherwise)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : otherwise;
}

/* Bytes of this process that are resident: proc(5), statm. */
static uint64_t resident(void)
{
	FILE *statm = fopen("/proc/self/statm", "re");
	unsigned long size, pages = 0;

	cr_assert(statm != NULL);
	cr_assert(eq(int, fscanf(statm, "%lu %lu", &size, &pages), 2));
	fclose(statm);
	return (uint64_t)pages * MEM_PAGE_SIZE;
}

/* ---- drives ---- */

static void fill(uint8_t *bytes)
{
	for (uint32_t i = 0; i < DRIVE_SIZE; i++)
		bytes[i] = (uint8_t)(i / DRIVE_SECTOR + i);
}

static void add_drive(const char *id, enum drive_mode mode)
{
	auto_free uint8_t *bytes = malloc(DRIVE_SIZE);
	const char *path = scratch_path(scratch, id);

	fill(bytes);
	bytes_write(path, bytes, DRIVE_SIZE);
	cr_assert(
		eq(int,
		   disks_add(&disks,
			     &(struct disk_spec){ .id = id, .path = path, .mode = mode }, &err),
		   0),
		"%s", err.text);
}

static void check_drive(uint32_t i)
{
	auto_free uint8_t *is = malloc(DRIVE_SIZE), *was = malloc(DRIVE_SIZE);

	fill(was);
	cr_assert(eq(sz, pread(disks.disk[i].drive.fd, is, DRIVE_SIZE, 0), DRIVE_SIZE));
	cr_expect(eq(int, memcmp(is, was, DRIVE_SIZE), 0), "drive %s", disks.disk[i].id);
}

/* ---- machines ---- */

struct life {
	struct clone clone;
	struct rewind rewind;
	bool can_rewind;
	void *fences[2];
	pthread_t kicker;
	bool is_over;
};

/* Where there is nothing before and behind RAM, it is to stay so. */
static void fence(struct life *l)
{
	const struct mem_region *r = &l->clone.machine.vm.mem.regions[0];
	uint8_t *ends[] = { r->host - MEM_PAGE_SIZE, r->host + r->size };

	for (uint32_t i = 0; i < 2; i++)
		l->fences[i] = mmap(ends[i], MEM_PAGE_SIZE, PROT_NONE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

static void unfence(struct life *l)
{
	for (uint32_t i = 0; i < 2; i++) {
		if (l->fences[i] != MAP_FAILED)
			munmap(l->fences[i], MEM_PAGE_SIZE);
	}
}

/* Somebody who pauses the machine now and then. */
static void *kick_now_and_then(void *arg)
{
	struct life *l = arg;

	while (!__atomic_load_n(&l->is_over, __ATOMIC_RELAXED)) {
		usleep(1500 * slow());
		vcpu_kick(&l->clone.machine.vm.vcpus[0]);
	}
	return NULL;
}

static void make(struct life *l, const struct frozen *from, const struct tier *tier)
{
	struct machine *m = &l->clone.machine;

	*l = (struct life){ .clone.mailbox_fd = mailbox_memfd(&err) };
	cr_assert(eq(int,
		     machine_create(m, &from->kvm, &from->template.shape, l->clone.mailbox_fd,
				    &err),
		     0),
		  "%s", err.text);
	virtio_console_listen(virtio_console_of(&m->vm), noise);
	cr_assert(eq(int, serial_listen(serial_of(&m->vm), dup(noise), &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, restore(m, &from->template, tier, NULL, &err), 0), "%s", err.text);
	l->can_rewind = tier == &tier_map;
	if (l->can_rewind) {
		cr_assert(eq(int, rewind_open(&l->rewind, m, &from->template, &err), 0), "%s",
			  err.text);
		cr_assert(eq(int, pthread_create(&l->kicker, NULL, kick_now_and_then, l), 0));
	}
	fence(l);
}

static const struct ioapic *ioapic_of(const struct vm *vm)
{
	return container_of(vm_device(vm, &ioapic_type), struct ioapic, dev);
}

static void add_counters(const struct vm *vm)
{
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		struct device *dev = vm->devices[i];
		const struct device_type *t = dev->type;

		if (t == &virtio_blk_type) {
			const struct virtio_blk_stats *s = virtio_blk_stats(dev);

			sum.blocks += s->reads + s->writes + s->discards + s->zeroes;
			sum.errors += s->errors + s->refused;
		}
		if (t == &virtio_blk_type || t == &virtio_rng_type ||
		    t == &virtio_console_type) {
			sum.kicks += virtio_of(dev)->kicks;
			sum.interrupts += virtio_of(dev)->interrupts;
			sum.violations += virtio_of(dev)->violations;
		}
	}
	sum.edges += ioapic_of(vm)->delivered;
	sum.refused += ioapic_of(vm)->refused;
	sum.input += serial_of(vm)->received + virtio_console_of(vm)->s.in_bytes;
}

static void end(struct life *l)
{
	int input = serial_of(&l->clone.machine.vm)->input.fd;

	if (l->can_rewind) {
		__atomic_store_n(&l->is_over, true, __ATOMIC_RELAXED);
		pthread_join(l->kicker, NULL);
		rewind_close(&l->rewind);
	}
	add_counters(&l->clone.machine.vm);
	unfence(l);
	clone_free(&l->clone);
	close(input);
	sum.machines++;
}

/* Does the machine live afterwards? It may end itself, or hang, and do nothing else. */
static bool scribble(struct machine *m, uint64_t seed)
{
	struct invocation inv = { .event = &seed,
				  .len = sizeof(seed),
				  .deadline = clock_monotonic() + slow() * EVENT_NS };
	struct mailbox_reply reply = { 0 };
	int ret = machine_invoke(m, &inv, &reply, NULL, &err);

	for (; ret == -EINTR; sum.paused++)
		ret = machine_wait(m, inv.deadline, &err);
	cr_expect(lt(u64, clock_monotonic(), inv.deadline + slow() * LATE_NS), "seed %" PRIu64,
		  seed);
	cr_assert(ret == 0 || ret == -ERR_CRASHED || ret == -ERR_TIMED_OUT,
		  "seed %" PRIu64 ": %s", seed, err.text);
	sum.lived += ret == 0;
	sum.crashed += ret == -ERR_CRASHED;
	sum.late += ret == -ERR_TIMED_OUT;
	return ret == 0;
}

/* ---- what is done with it ---- */

static void take_back(struct life *l, bool look)
{
	struct machine *m = &l->clone.machine;

	worker_lock(&m->vm.worker);
	cr_assert(eq(int, rewind_machine(&l->rewind, m, &err), 0), "%s", err.text);
	if (look)
		cr_assert(eq(int, rewind_verify(&l->rewind, m, &err), 0), "%s", err.text);
	worker_unlock(&m->vm.worker);
	sum.verified += look;
}

static void fork_off(struct life *l)
{
	struct fork fork;

	cr_assert(eq(int, fork_begin(&fork, &l->clone.machine, &f.template, &err), 0), "%s",
		  err.text);
	fork_close(&fork);
}

/* What comes of it scribbles on, from where it was. Nobody looks whether it is the same after a rewind: what tells
 * a guest of its new generation may leave its mark in an IOAPIC that was programmed by an enemy. */
static void save_and_thaw(struct life *l, uint64_t seed)
{
	static struct frozen saved;
	static struct life next;

	frozen_from(&saved, &l->clone.machine);
	make(&next, &saved, &tier_map);
	if (scribble(&next.clone.machine, seed))
		take_back(&next, false);
	end(&next);
	frozen_free(&saved);
	sum.saved++;
}

/* One machine: events, and something after each. */
static void one_machine(uint64_t seed, const struct tier *tier)
{
	static struct life l;

	make(&l, &f, tier);
	for (uint64_t i = 0; i < EVENTS_EACH && scribble(&l.clone.machine, seed + i); i++) {
		if ((seed + i) % 32 == 7)
			save_and_thaw(&l, seed + i);
		else if (l.can_rewind && (seed + i) % 4 == 1)
			fork_off(&l);
		else if (l.can_rewind && (seed + i) % 4 != 2)
			take_back(&l, (seed + i) % 16 == 0);
	}
	end(&l);
}

static const struct tier *tier_of(uint64_t i)
{
	const struct tier *const *all = frozen_tiers();
	uint64_t n = 0;

	while (all[n])
		n++;
	return i % 4 == 3 ? all[i / 4 % n] : &tier_map;
}

Test(scribble, harms_only_the_guest, .timeout = 7200)
{
	static struct booted b;
	uint64_t seed = number_of("SCRIBBLE_SEED", 1), before = 0;
	nsec_t began = clock_monotonic();
	nsec_t seconds = (nsec_t)number_of("SCRIBBLE_SECONDS", 5) * NSEC_PER_SEC;
	int nfds = 0;

	scratch_make(scratch);
	noise = eventfd(UINT32_MAX - 1, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE);
	add_drive("own", DRIVE_OVERLAY);
	add_drive("ro", DRIVE_RO);
	booted_kind(&kind_linux);
	booted_disks(&disks);
	booted_kernel(&b, "tests/scribble.elf", "");
	frozen_from(&f, &b.machine);
	booted_free(&b);
	for (uint64_t i = 0; clock_monotonic() - began < seconds; i++) {
		one_machine(seed + i * EVENTS_EACH, tier_of(i));
		if (i == SETTLED) {
			before = resident();
			nfds = count_entries("/proc/self/fd");
		}
	}
	cr_log_info("%" PRIu64 " machines; events: %" PRIu64 " survived, %" PRIu64
		    " ended the machine, %" PRIu64 " hung; %" PRIu64 " pauses, %" PRIu64
		    " rewinds verified, %" PRIu64 " images",
		    sum.machines, sum.lived, sum.crashed, sum.late, sum.paused, sum.verified,
		    sum.saved);
	cr_log_info("devices: %" PRIu64 " kicks, %" PRIu64 " interrupts, %" PRIu64
		    " sent, %" PRIu64 " refused, %" PRIu64 " violations, %" PRIu64
		    " bytes in; disks: %" PRIu64 " requests, %" PRIu64 " refused or failed",
		    sum.kicks, sum.interrupts, sum.edges, sum.refused, sum.violations,
		    sum.input, sum.blocks, sum.errors);
	/* Else this tests nothing. */
	cr_expect(gt(u64, sum.lived, sum.machines));
	cr_expect(gt(u64, sum.kicks, sum.machines));
	cr_expect(gt(u64, sum.violations, sum.machines));
	cr_expect(gt(u64, sum.blocks, sum.machines));
	cr_expect(gt(u64, sum.errors, 0));
	if (before > 0) {
		cr_expect(lt(u64, resident(), before + GROWTH_MAX));
		cr_expect(eq(int, count_entries("/proc/self/fd"), nfds));
	}
	for (uint32_t i = 0; i < disks.n; i++)
		check_drive(i);
	frozen_free(&f);
	disks_close(&disks);
	scratch_remove(scratch);
}
