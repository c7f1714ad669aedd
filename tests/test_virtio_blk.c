/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_blk.c - a disk as its driver sees it, and its limits. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/helpers_blk.h"
#include "tests/helpers_image.h"
#include "tests/helpers_refuse.h"

TestSuite(virtio_blk, .timeout = 120);

Test(virtio_blk, tells_what_it_is)
{
	struct virtio_blk_config config;

	rig_begin(DRIVE_RW);
	cr_expect(eq(u32, driver_read(&rig.driver, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK));
	for (uint32_t i = 0; i < 60; i += 4) {
		uint32_t word = driver_read(&rig.driver, VIRTIO_MMIO_CONFIG + i);

		memcpy((char *)&config + i, &word, sizeof(word));
	}
	cr_expect(eq(u64, config.capacity, RIG_SECTORS));
	cr_expect(eq(u32, config.blk_size, 512));
	cr_expect(eq(u32, config.seg_max, BLK_SEG_MAX));
	cr_expect(eq(u32, config.max_discard_seg, 1));
	cr_expect(eq(u8, config.write_zeroes_may_unmap, 1));
	cr_expect(eq(int, rig.driver.dev->features >> VIRTIO_BLK_F_RO & 1, 0));
	cr_expect(eq(int, rig.driver.dev->features >> VIRTIO_BLK_F_DISCARD & 1, 1));
	rig_end();
}

Test(virtio_blk, of_a_read_only_drive_cannot_be_written_to)
{
	rig_begin(DRIVE_RO);
	cr_expect(eq(int, rig.driver.dev->features >> VIRTIO_BLK_F_RO & 1, 1));
	cr_expect(eq(int, rig.driver.dev->features >> VIRTIO_BLK_F_DISCARD & 1, 0));
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, rig_clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, rig_clear(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK));
	rig_expect_model();
	rig_end();
}

Test(virtio_blk, has_a_serial_number)
{
	rig_begin(DRIVE_RO);
	cr_expect(
		eq(int, rig_ask(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES), VIRTIO_BLK_S_OK));
	cr_expect(eq(int,
		     memcmp(driver_at(&rig.driver, RIG_DATA, 20), "disk-of-twenty-bytes", 20),
		     0));
	memset(driver_at(&rig.driver, RIG_DATA, 20), 0, 20);
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_GET_ID, 0, 4), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, memcmp(driver_at(&rig.driver, RIG_DATA, 20), "disk\0\0", 6), 0));
	rig_end();
}

/* ---- random I/O ---- */

struct way {
	enum drive_mode mode;
	int has_ring, has_thread, has_features;
};

ParameterizedTestParameters(virtio_blk, random_requests_do_what_a_model_does)
{
	static struct way ways[] = {
		{ DRIVE_RW, 1, 0, 1 },	    { DRIVE_RW, 1, 1, 1 },
		{ DRIVE_RW, 0, 0, 1 },	    { DRIVE_RW, 0, 1, 1 },
		{ DRIVE_OVERLAY, 1, 0, 1 }, { DRIVE_OVERLAY, 1, 1, 1 },
		{ DRIVE_OVERLAY, 0, 1, 1 }, { DRIVE_RW, 1, 1, 0 },
	};

	return cr_make_param_array(struct way, ways, ARRAY_SIZE(ways));
}

ParameterizedTest(struct way *w, virtio_blk, random_requests_do_what_a_model_does,
		  .timeout = 120)
{
	if (!w->has_ring)
		refuse_io_uring();
	rig_begin(w->mode);
	if (w->has_thread)
		driver_connect(&rig.driver);
	if (!w->has_features) /* then a write is on the disk when it is done */
		driver_start(&rig.driver, 1ull << VIRTIO_F_VERSION_1);
	rig_random_io(100, w->mode);
	rig_end();
}

Test(virtio_blk, an_overlay_leaves_its_file_alone)
{
	static uint8_t before[RIG_SIZE], after[RIG_SIZE];

	rig_begin(DRIVE_OVERLAY);
	memcpy(before, rig.model, RIG_SIZE);
	driver_connect(&rig.driver);
	rig_random_io(30, DRIVE_OVERLAY);
	cr_assert(eq(sz, pread(rig.drive.fd, after, RIG_SIZE, 0), RIG_SIZE));
	cr_expect(eq(int, memcmp(before, after, RIG_SIZE), 0));
	rig_end();
}

Test(virtio_blk, a_full_queue_is_served_and_more_behind_it)
{
	struct vring_used_elem e;

	rig_begin(DRIVE_RW);
	driver_connect(&rig.driver);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 85; i++) { /* of three entries each */
			struct rig_request r = { VIRTIO_BLK_T_IN, i, 512, RIG_DATA + i * 512 };

			rig_offer(i, &r, (uint16_t)(i * 3), 1);
		}
		driver_notify(&rig.driver, 0);
		for (uint32_t i = 0; i < 85; i++)
			rig_take(&e);
		cr_assert(eq(
			int,
			memcmp(driver_at(&rig.driver, RIG_DATA, 85 * 512), rig.model, 85 * 512),
			0));
	}
	rig_end();
}

Test(virtio_blk, a_reset_waits_for_what_is_in_flight)
{
	struct rig_request r = { VIRTIO_BLK_T_IN, 0, 64 << 10, RIG_DATA };

	rig_begin(DRIVE_RW);
	driver_connect(&rig.driver);
	for (int round = 0; round < 200; round++) {
		posix_fadvise(rig.drive.fd, 0, 0, POSIX_FADV_DONTNEED);
		for (uint32_t i = 0; i < 8; i++)
			rig_offer(i, &r, (uint16_t)(i * 3), 1);
		driver_notify(&rig.driver, 0);
		driver_write(&rig.driver, VIRTIO_MMIO_STATUS, 0);
		memset(driver_at(&rig.driver, RIG_DATA, r.len), 0x77, r.len);
		for (uint32_t i = 0; i < r.len; i += 4096)
			cr_assert(eq(u8, *(uint8_t *)driver_at(&rig.driver, RIG_DATA + i, 1),
				     0x77));
		driver_start(&rig.driver, DRIVER_ALL);
	}
	rig_expect_model();
	rig_end();
}

Test(virtio_blk, a_drive_that_is_closed_is_free)
{
	for (int i = 0; i < 20; i++) {
		nsec_t from;

		rig_begin(DRIVE_RW);
		rig_write(0, 8, (uint8_t)i);
		driver_fini(&rig.driver);
		drive_close(&rig.drive);
		from = clock_monotonic();
		cr_assert(eq(int,
			     drive_open(&rig.drive, scratch_path(rig.scratch, "disk"), DRIVE_RW,
					&rig.err),
			     0),
			  "%s", rig.err.text);
		cr_expect(lt(u64, clock_monotonic() - from, 100 * NSEC_PER_MSEC));
		drive_close(&rig.drive);
		scratch_remove(rig.scratch);
	}
}

/* ---- turns ---- */

#define LARGE (1u << 20)
#define MANY  200u /* more than may be in flight, by number and by bytes */

/* A large read, so often as if a guest had nothing else to do: they share all their parts. */
static void offer_many(uint32_t len)
{
	const struct vring_desc table = { .addr = DRIVER_TABLE,
					  .len = 3 * sizeof(table),
					  .flags = VRING_DESC_F_INDIRECT };
	const struct rig_request r = { VIRTIO_BLK_T_IN, 0, len, RIG_DATA };
	struct vring_desc *chain = driver_at(&rig.driver, DRIVER_TABLE, table.len);

	rig_offer(0, &r, 0, 1);
	driver_avail(&rig.driver, 0)->idx = 0;
	rig.driver.queues[0].next = 0;
	memcpy(chain, driver_desc(&rig.driver, 0, 0), table.len);
	for (uint16_t i = 0; i < MANY; i++)
		driver_offer(&rig.driver, 0, &table, 1, i);
}

static uint32_t taken(void)
{
	struct vring_used_elem e;
	uint32_t n = 0;

	while (driver_take(&rig.driver, 0, &e)) {
		cr_expect(eq(u32, e.len, LARGE + 1));
		n++;
	}
	return n;
}

/* Others may have the lock between. */
Test(virtio_blk, a_turn_is_a_part_of_what_a_guest_asks_for)
{
	uint32_t n, all = 0;

	rig_begin(DRIVE_RO);
	offer_many(LARGE);
	while (all < MANY) {
		driver_notify(&rig.driver, 0);
		rig.driver.dev->ops->settle(rig.driver.dev);
		n = taken();
		cr_assert(n > 0 && n < 64, "%u MiB in one turn, after %u", n, all);
		all += n;
	}
	rig_end();
}

/* Tell the device, and wait until it has begun. The lock is ours then. */
static void notify_and_lock(void)
{
	const struct virtio_blk *blk = container_of(rig.driver.dev, struct virtio_blk, virtio);
	uint64_t reads = blk->stats.reads;

	driver_notify(&rig.driver, 0);
	worker_lock(&rig.driver.vm.worker);
	while (blk->moving == 0 && blk->stats.reads == reads) {
		worker_unlock(&rig.driver.vm.worker);
		usleep(10);
		worker_lock(&rig.driver.vm.worker);
	}
}

/* A machine that is forked goes on, and its driver does not tell twice of what it wants. */
Test(virtio_blk, what_had_to_wait_is_begun_after_a_drain)
{
	struct vring_used_elem e;

	rig_begin(DRIVE_RO);
	driver_connect(&rig.driver);
	cr_assert(eq(int, fsync(rig.drive.fd), 0)); /* so that it may leave the page cache */
	for (int round = 0; round < 20; round++) {
		posix_fadvise(rig.drive.fd, 0, 0, POSIX_FADV_DONTNEED);
		offer_many(64 << 10);
		notify_and_lock();
		cr_assert(eq(int, vm_drain(&rig.driver.vm, &rig.err), 0), "%s", rig.err.text);
		worker_unlock(&rig.driver.vm.worker);
		for (uint32_t i = 0; i < MANY; i++)
			rig_take(&e);
		driver_write(&rig.driver, VIRTIO_MMIO_STATUS, 0);
		driver_start(&rig.driver, DRIVER_ALL);
	}
	rig_end();
}

/* ---- the rate limit ---- */

Test(virtio_blk, a_limit_of_requests_is_kept)
{
	nsec_t from, took;

	rig.config.ops = (struct rate_limit){ .size = 5, .refill_ms = 100 };
	rig_begin(DRIVE_RO);
	driver_connect(&rig.driver);
	from = clock_monotonic();
	for (int i = 0; i < 20; i++)
		cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK));
	took = clock_monotonic() - from;
	cr_expect(ge(u64, took, 280 * NSEC_PER_MSEC));
	cr_expect(gt(u64, virtio_blk_stats(&rig.driver.dev->dev)->throttled, 0));
	rig_end();
}

Test(virtio_blk, a_limit_of_bytes_is_kept)
{
	nsec_t from, took;

	rig.config.bytes =
		(struct rate_limit){ .size = 100 << 10, .burst = 64 << 10, .refill_ms = 100 };
	rig_begin(DRIVE_OVERLAY);
	driver_connect(&rig.driver);
	from = clock_monotonic();
	for (int i = 0; i < 16; i++)
		cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_OUT, 0, 32 << 10), VIRTIO_BLK_S_OK));
	took = clock_monotonic() - from;
	cr_expect(ge(u64, took, 250 * NSEC_PER_MSEC));
	rig_end();
}
