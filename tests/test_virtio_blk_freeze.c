/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_blk_freeze.c - a disk at rest, and what becomes of it in a clone, or a rewound machine. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>

#include "tests/helpers_blk.h"

TestSuite(virtio_blk_freeze, .timeout = 120);

static struct virtio_blk_state saved(void)
{
	struct virtio_blk_state s;

	cr_assert(eq(int, vm_drain(&rig.driver.vm, &rig.err), 0), "%s", rig.err.text);
	cr_assert(eq(int, virtio_blk_type.save(&rig.driver.dev->dev, &rig.err), 0));
	memcpy(&s, device_state(&rig.driver.dev->dev), sizeof(s));
	return s;
}

static int load(const struct virtio_blk_state *s)
{
	int ret = state_load(&virtio_blk_type.state, device_state(&rig.driver.dev->dev), s,
			     sizeof(*s), &rig.err);

	return ret < 0 ? ret : virtio_blk_type.load(&rig.driver.dev->dev, &rig.err);
}

Test(virtio_blk_freeze, its_state_is_all_in_its_table)
{
	cr_expect(eq(int, state_covers(&virtio_blk_type.state, &rig.err), 0), "%s",
		  rig.err.text);
}

/* Nobody may take the machine's memory for another's then. */
Test(virtio_blk_freeze, a_drain_fails_when_requests_do_not_come_back)
{
	struct rig_request r = { .type = VIRTIO_BLK_T_IN,
				 .len = DRIVE_SECTOR,
				 .data = RIG_DATA };
	struct virtio_blk *blk;
	struct io_uring *ring;
	int fd;

	rig_begin(DRIVE_RW);
	blk = container_of(rig.driver.dev, struct virtio_blk, virtio);
	ring = &blk->io.ring;
	if (!blk->io.has_ring)
		cr_skip_test("no io_uring here");
	fd = ring->ring_fd;
	ring->ring_fd = ring->enter_ring_fd = -1;
	rig_offer(0, &r, 0, 1);
	driver_notify(&rig.driver, 0);
	cr_expect(eq(int, vm_drain(&rig.driver.vm, &rig.err), -EIO), "%s", rig.err.text);
	ring->ring_fd = ring->enter_ring_fd = fd;
	cr_expect(eq(int, vm_drain(&rig.driver.vm, &rig.err), 0), "%s", rig.err.text);
	cr_expect(eq(int, rig_status(0), VIRTIO_BLK_S_OK));
	rig_end();
}

Test(virtio_blk_freeze, a_rewind_takes_back_what_an_overlay_has)
{
	static uint8_t before[RIG_SIZE];
	struct virtio_blk_state s;

	rig_begin(DRIVE_OVERLAY);
	memcpy(before, rig.model, RIG_SIZE);
	for (int i = 0; i < 10; i++) {
		s = saved();
		rig_random_io(5, DRIVE_OVERLAY);
		saved();
		/* As if memory went back, too. */
		cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
		memcpy(rig.model, before, RIG_SIZE);
		driver_start(&rig.driver, DRIVER_ALL);
		rig_expect_model();
	}
	rig_end();
}

Test(virtio_blk_freeze, a_clone_goes_on_where_its_machine_stopped)
{
	struct virtio_blk_state s;
	struct driver_queue queue;

	rig_begin(DRIVE_RO);
	rig_expect_model();
	s = saved();
	queue = rig.driver.queues[0];
	memset(rig.config.serial, 'x', sizeof(rig.config.serial));
	driver_fini(&rig.driver);
	/* It has a disk before it knows which. */
	rig.config.drive = NULL;
	driver_init(&rig.driver, &virtio_blk_type, &rig.config);
	driver_connect(&rig.driver);
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(rig.err.text, "none was given"), NULL), "%s", rig.err.text);
	rig.config.drive = &rig.drive;
	cr_assert(eq(int, virtio_blk_attach(&rig.driver.dev->dev, &rig.config, &rig.err), 0),
		  "%s", rig.err.text);
	/* The rings, as the guest's memory has them. */
	driver_avail(&rig.driver, 0)->idx = driver_used(&rig.driver, 0)->idx = queue.next;
	cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
	rig.driver.queues[0] = queue;
	rig_expect_model();
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK));
	cr_expect(eq(int,
		     memcmp(driver_at(&rig.driver, RIG_DATA, 20), "disk-of-twenty-bytes", 20),
		     0),
		  "the guest knows it by that");
	rig_end();
}

/* What was taken before the freeze counts, unless a start has brought a limit of its own. */
Test(virtio_blk_freeze, a_clone_has_what_was_left_of_its_limits)
{
	struct virtio_blk_state s;

	rig.config.ops = (struct rate_limit){ .size = 10, .burst = 5, .refill_ms = 1000000 };
	rig_begin(DRIVE_RO);
	for (int i = 0; i < 8; i++)
		cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK));
	s = saved();
	cr_expect(eq(u64, s.ops.burst_left, 0));
	cr_expect(eq(u64, s.ops.used, 3));
	cr_assert(eq(int, virtio_blk_attach(&rig.driver.dev->dev, &rig.config, &rig.err), 0));
	cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
	cr_expect(eq(u64, saved().ops.used, 3));
	rig.config.ops.is_new = true;
	cr_assert(eq(int, virtio_blk_attach(&rig.driver.dev->dev, &rig.config, &rig.err), 0));
	cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
	cr_expect(eq(u64, saved().ops.used, 0));
	cr_expect(eq(u64, saved().ops.burst_left, 5));
	rig_end();
}

/* Or a limit would be none for a machine that is rewound often. */
Test(virtio_blk_freeze, a_rewound_machine_owes_what_it_took)
{
	struct virtio_blk_state s;
	nsec_t from, took;

	rig.config.ops = (struct rate_limit){ .size = 4, .refill_ms = 400 };
	rig_begin(DRIVE_RO);
	driver_connect(&rig.driver);
	s = saved();
	cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
	from = clock_monotonic();
	for (int life = 0; life < 6; life++) {
		for (int i = 0; i < 2; i++)
			cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK));
		cr_expect(gt(u64, saved().ops.used, 0));
		cr_assert(eq(int, load(&s), 0), "%s", rig.err.text);
		cr_expect(eq(u64, saved().ops.used, 0), "as its template has it");
		driver_start(&rig.driver, DRIVER_ALL);
	}
	took = clock_monotonic() - from;
	cr_expect(ge(u64, took, 780 * NSEC_PER_MSEC), "of 12 requests 8 had to wait");
	rig_end();
}

Test(virtio_blk_freeze, another_drive_than_the_machines_is_refused)
{
	struct virtio_blk_state s;

	rig_begin(DRIVE_OVERLAY);
	s = saved();
	s.sectors++;
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(rig.err.text, "has 2050 sectors, the one given 2049"), NULL),
		  "%s", rig.err.text);
	s.sectors--;
	s.read_only = 1;
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(rig.err.text, "read-only"), NULL), "%s", rig.err.text);
	s.read_only = 2;
	cr_expect(eq(int, load(&s), -ERANGE));
	rig_end();
}
