/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_blk.c - a disk between a driver in a machine (tests/guest/kernels/blk.c), KVM's ioeventfd, the device
 * thread and io_uring, and how fast that is beside io_uring alone.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "devices/virtio_blk.h"
#include "engine/err.h"
#include "snapshot/disks.h"
#include "snapshot/pager.h"
#include "snapshot/rewind.h"
#include "tests/guest/kernels/blk.h"
#include "tests/helpers_image.h"
#include "tests/helpers_kvm.h"
#include "tests/helpers_refuse.h"

#define REQUESTS 256u /* that fit on the drive */

static struct booted b;
static struct frozen f;
static struct disks disks;
static char scratch[256];
static struct err err;

static struct virtio_blk *disk_of(struct machine *m)
{
	return container_of(vm_device(&m->vm, &virtio_blk_type), struct virtio_blk, virtio.dev);
}

static int file(void)
{
	return disks.disk[0].drive.fd;
}

static void begin(enum drive_mode mode)
{
	struct disk_spec spec = { .id = "data", .mode = mode };
	const char *path;

	scratch_make(scratch);
	path = scratch_path(scratch, "disk");
	bytes_write(path, NULL, 0);
	cr_assert(eq(int, truncate(path, (off_t)REQUESTS * BLK_REQUEST), 0));
	spec.path = path;
	cr_assert(eq(int, disks_add(&disks, &spec, &err), 0), "%s", err.text);
	booted_kind(&kind_linux);
	booted_disks(&disks);
	booted_kernel(&b, "tests/blk.elf", "");
}

static void end(void)
{
	booted_free(&b);
	disks_close(&disks);
	scratch_remove(scratch);
}

static struct blk_report ask(struct machine *m, uint32_t what, uint32_t n, uint64_t seed)
{
	struct blk_order order = { .what = what, .n = n, .seed = seed };
	struct invocation inv = { .event = &order,
				  .len = sizeof(order),
				  .deadline = clock_monotonic() + slow() * 10 * NSEC_PER_SEC };
	struct mailbox_reply reply;
	struct blk_report r = { 0 };

	cr_assert(eq(int, machine_invoke(m, &inv, &reply, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, sizeof(r)));
	memcpy(&r, reply.data, sizeof(r));
	cr_expect(eq(u32, r.status, 0xf));
	cr_expect(eq(u32, r.failed, 0));
	cr_expect(eq(u32, r.wrong, 0));
	return r;
}

static void drain(void)
{
	worker_lock(&b.machine.vm.worker);
	cr_expect(eq(int, vm_drain(&b.machine.vm, &err), 0), "%s", err.text);
	worker_unlock(&b.machine.vm.worker);
}

/* What was written is read, and is where it was to go. */
static void write_and_read(enum drive_mode mode)
{
	uint32_t n = REQUESTS / slow();
	uint64_t word = 0;

	begin(mode);
	ask(&b.machine, BLK_FILL, n, 7);
	drain();
	ask(&b.machine, BLK_CHECK, n, 7);
	cr_expect(eq(u64, disk_of(&b.machine)->stats.writes, n));
	cr_assert(eq(sz, pread(file(), &word, sizeof(word), 0), sizeof(word)));
	cr_expect(eq(u64, word, mode == DRIVE_RW ? 7 * 0x9e3779b97f4a7c15u : 0));
	if (mode == DRIVE_OVERLAY)
		cr_expect(eq(u64, disk_of(&b.machine)->overlay.count,
			     n * (BLK_REQUEST / BLOCKS_SIZE)));
	end();
}

Test(blk, what_a_guest_writes_is_in_the_file, .timeout = 240)
{
	write_and_read(DRIVE_RW);
}

Test(blk, or_in_an_overlay, .timeout = 240)
{
	write_and_read(DRIVE_OVERLAY);
}

Test(blk, also_without_io_uring, .timeout = 240)
{
	refuse_io_uring();
	write_and_read(DRIVE_RW);
}

/* ---- freezing ---- */

#define FEW (64 / slow())

static void make_clone(struct clone *c)
{
	clone_make(c, &f, &tier_map);
}

Test(blk, clones_begin_with_what_was_written_and_keep_what_they_write_to_themselves,
     .timeout = 240)
{
	static struct clone one, two;

	begin(DRIVE_OVERLAY);
	ask(&b.machine, BLK_FILL, FEW, 1);
	frozen_from(&f, &b.machine);
	make_clone(&one);
	make_clone(&two);
	ask(&one.machine, BLK_CHECK, FEW, 1);
	ask(&one.machine, BLK_FILL, FEW, 2);
	ask(&two.machine, BLK_CHECK, FEW, 1);
	ask(&one.machine, BLK_CHECK, FEW, 2);
	ask(&b.machine, BLK_CHECK, FEW, 1);
	clone_free(&one);
	clone_free(&two);
	frozen_free(&f);
	end();
}

/* Guest memory that is not all there is filled by the device thread, and by the kernel for io_uring. */
Test(blk, works_in_every_tier, .timeout = 240)
{
	static struct clone c;

	begin(DRIVE_OVERLAY);
	ask(&b.machine, BLK_FILL, FEW, 1);
	frozen_from(&f, &b.machine);
	for (const struct tier *const *t = frozen_tiers(); *t; t++) {
		clone_make(&c, &f, *t);
		ask(&c.machine, BLK_READ, REQUESTS, 0);
		ask(&c.machine, BLK_CHECK, FEW, 1);
		clone_free(&c);
	}
	frozen_free(&f);
	end();
}

/* It may be in the middle of a request, on its own thread: the machine is lost, and nothing else. */
Test(blk, memory_that_cannot_come_is_an_error_while_the_disk_is_at_work, .timeout = 240)
{
	const struct blk_order order = { .what = BLK_CHECK, .n = FEW, .seed = 1 };
	struct invocation inv = { .event = &order, .len = sizeof(order) };
	struct mailbox_reply reply;
	static struct clone c;
	int ret, failed = 0;

	begin(DRIVE_OVERLAY);
	ask(&b.machine, BLK_FILL, FEW, 1);
	frozen_from(&f, &b.machine);
	for (uint64_t frames = 1; frames < f.image.frames.header.nframes; frames += 3) {
		pager_fault_point = frames;
		clone_make(&c, &f, &tier_lazy);
		inv.deadline = clock_monotonic() + slow() * 10 * NSEC_PER_SEC;
		ret = machine_invoke(&c.machine, &inv, &reply, NULL, &err);
		cr_expect(eq(int, ret == 0 || ret == -EIO, 1), "after %" PRIu64 " frames: %s",
			  frames, err.text);
		failed += ret < 0;
		clone_free(&c);
	}
	cr_expect(gt(int, failed, 0));
	frozen_free(&f);
	end();
}

Test(blk, a_rewind_takes_back_what_was_written, .timeout = 240)
{
	static struct rewind rewind;
	static struct clone c;

	begin(DRIVE_OVERLAY);
	ask(&b.machine, BLK_FILL, FEW, 1);
	frozen_from(&f, &b.machine);
	make_clone(&c);
	cr_assert(eq(int, rewind_open(&rewind, &c.machine, &f.template, &err), 0), "%s",
		  err.text);
	for (uint64_t i = 2; i < 12; i++) {
		ask(&c.machine, BLK_CHECK, FEW, 1);
		ask(&c.machine, BLK_FILL, FEW / (uint32_t)i, i);
		worker_lock(&c.machine.vm.worker);
		cr_assert(eq(int, rewind_machine(&rewind, &c.machine, &err), 0), "%s",
			  err.text);
		worker_unlock(&c.machine.vm.worker);
		cr_expect(eq(u64, disk_of(&c.machine)->overlay.count, 0));
	}
	rewind_close(&rewind);
	clone_free(&c);
	frozen_free(&f);
	end();
}

/* Each frozen from a clone of the one before, which wrote over what it found. */
Test(blk, generations_keep_what_all_before_them_wrote, .timeout = 240)
{
	uint32_t n = FEW;
	static struct frozen before;
	static struct clone c;

	begin(DRIVE_OVERLAY);
	ask(&b.machine, BLK_FILL, n, 1);
	frozen_from(&f, &b.machine);
	for (uint64_t i = 2; i < 6; i++) {
		before = f;
		make_clone(&c);
		ask(&c.machine, BLK_CHECK, n, i - 1);
		ask(&c.machine, BLK_FILL, n, i);
		frozen_from(&f, &c.machine);
		clone_free(&c);
		frozen_free(&before);
	}
	make_clone(&c);
	ask(&c.machine, BLK_CHECK, n, 5);
	clone_free(&c);
	frozen_free(&f);
	end();
}

/* ---- speed ---- */

static uint8_t *buffers;

static void ring_read(struct io_uring *ring, uint32_t slot, uint32_t number)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		return; /* cannot be: it was submitted before */
	io_uring_prep_read(sqe, 0, buffers + (size_t)slot * BLK_REQUEST, BLK_REQUEST,
			   (uint64_t)(number % REQUESTS) * BLK_REQUEST);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, slot);
}

/* Nanoseconds of @n such requests without a guest. */
static nsec_t read_by_host(uint32_t n)
{
	nsec_t from = clock_monotonic();
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	uint32_t begun = 0;

	cr_assert(eq(int, io_uring_queue_init(BLK_DEPTH, &ring, 0), 0));
	cr_assert(eq(int, io_uring_register_files(&ring, &disks.disk[0].drive.fd, 1), 0));
	for (; begun < BLK_DEPTH; begun++)
		ring_read(&ring, begun, begun);
	for (uint32_t done = 0; done < n; done++) {
		cr_assert(ge(int, io_uring_submit_and_wait(&ring, 1), 0));
		cr_assert(eq(int, io_uring_wait_cqe(&ring, &cqe), 0));
		cr_assert(eq(int, cqe->res, BLK_REQUEST));
		if (begun < n)
			ring_read(&ring, (uint32_t)io_uring_cqe_get_data64(cqe), begun++);
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
	return clock_monotonic() - from;
}

Test(blk, beside_io_uring_alone, .timeout = 240)
{
	uint32_t n = 8 * REQUESTS / slow();
	nsec_t host = UINT64_MAX, guest = UINT64_MAX;
	struct blk_report r = { 0 };

	begin(DRIVE_RW);
	ask(&b.machine, BLK_FILL, REQUESTS, 3);
	buffers = calloc(BLK_DEPTH, BLK_REQUEST);
	for (int i = 0; i < 5; i++) {
		nsec_t from, took = read_by_host(n);

		host = MIN(host, took);
		from = clock_monotonic();
		r = ask(&b.machine, BLK_READ, n, 0);
		took = clock_monotonic() - from;
		guest = MIN(guest, took);
	}
	cr_log_info("%u reads of %u bytes: %" PRIu64 " us on the host, %" PRIu64
		    " us in the guest, %.2f of its speed; %u notifications",
		    n, BLK_REQUEST, host / 1000, guest / 1000, (double)host / (double)guest,
		    r.notified);
	/* On a host that does nothing else it is 0.7 and more. This one may be busy, and two threads
	 * that wait for each other feel that: here it is only not to be another way altogether. */
	cr_expect(lt(u64, guest, slow() * 30 * host));
	free(buffers);
	end();
}
