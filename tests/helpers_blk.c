/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_blk.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/helpers_image.h"

#define NO_STATUS 0xee

struct rig rig;

static void make_disk(void)
{
	srand(11);
	for (size_t i = 0; i < RIG_SIZE; i++)
		rig.model[i] = (uint8_t)rand();
	scratch_make(rig.scratch);
	bytes_write(scratch_path(rig.scratch, "disk"), rig.model, RIG_SIZE);
}

void rig_begin(enum drive_mode mode)
{
	make_disk();
	cr_assert(eq(int,
		     drive_open(&rig.drive, scratch_path(rig.scratch, "disk"), mode, &rig.err),
		     0),
		  "%s", rig.err.text);
	rig.config.drive = &rig.drive;
	memcpy(rig.config.serial, "disk-of-twenty-bytes", sizeof(rig.config.serial));
	driver_init(&rig.driver, &virtio_blk_type, &rig.config);
	driver_start(&rig.driver, DRIVER_ALL);
}

void rig_end(void)
{
	driver_fini(&rig.driver);
	drive_close(&rig.drive);
	scratch_remove(rig.scratch);
}

/* ---- requests ---- */

uint16_t rig_offer(uint32_t i, const struct rig_request *r, uint16_t head, uint16_t parts)
{
	struct virtio_blk_outhdr header = { .type = r->type, .sector = r->sector };
	uint16_t in = r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_GET_ID
			      ? VRING_DESC_F_WRITE
			      : 0;
	struct vring_desc chain[20];
	uint16_t n = 0;
	uint32_t left = r->len;

	memcpy(driver_at(&rig.driver, RIG_HEADER(i), sizeof(header)), &header, sizeof(header));
	*(uint8_t *)driver_at(&rig.driver, RIG_STATUS(i), 1) = NO_STATUS;
	chain[n++] = (struct vring_desc){ .addr = RIG_HEADER(i), .len = sizeof(header) };
	for (uint16_t k = 0; k < parts && left > 0; k++) {
		uint32_t part = k + 1 == parts ? left : MIN(left, r->len / parts + 1);

		chain[n++] = (struct vring_desc){ .addr = r->data + r->len - left,
						  .len = part,
						  .flags = in };
		left -= part;
	}
	chain[n++] = (struct vring_desc){ .addr = RIG_STATUS(i),
					  .len = 1,
					  .flags = VRING_DESC_F_WRITE };
	driver_offer(&rig.driver, 0, chain, n, head);
	return n;
}

void rig_take(struct vring_used_elem *e)
{
	/* Without a device thread somebody has to wait for the disk. */
	if (!rig.driver.vm.worker.is_running)
		rig.driver.dev->ops->settle(rig.driver.dev);
	cr_assert(driver_wait(&rig.driver, 0, e));
}

uint8_t rig_status(uint32_t i)
{
	return *(uint8_t *)driver_at(&rig.driver, RIG_STATUS(i), 1);
}

uint8_t rig_ask(uint32_t type, uint64_t sector, uint32_t len)
{
	struct rig_request r = { .type = type, .sector = sector, .len = len, .data = RIG_DATA };
	struct vring_used_elem e;

	rig_offer(0, &r, 0, 3);
	driver_notify(&rig.driver, 0);
	rig_take(&e);
	cr_expect(eq(u32, e.id, 0));
	if (type == VIRTIO_BLK_T_IN && rig_status(0) == VIRTIO_BLK_S_OK)
		cr_expect(eq(u32, e.len, len + 1));
	return rig_status(0);
}

uint8_t rig_clear(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = sector,
							 .num_sectors = n,
							 .flags = flags };

	memcpy(driver_at(&rig.driver, RIG_DATA, sizeof(range)), &range, sizeof(range));
	return rig_ask(type, 0, sizeof(range));
}

void rig_expect_model(void)
{
	const uint32_t step = 1000;

	for (uint32_t sector = 0; sector < RIG_SECTORS; sector += step) {
		uint32_t n = MIN(step, RIG_SECTORS - sector);

		cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_IN, sector, n * DRIVE_SECTOR),
			     VIRTIO_BLK_S_OK));
		cr_assert(eq(int,
			     memcmp(driver_at(&rig.driver, RIG_DATA, n * DRIVE_SECTOR),
				    rig.model + sector * DRIVE_SECTOR, n * DRIVE_SECTOR),
			     0));
	}
}

void rig_write(uint64_t sector, uint32_t n, uint8_t value)
{
	memset(driver_at(&rig.driver, RIG_DATA, n * DRIVE_SECTOR), value, n * DRIVE_SECTOR);
	cr_assert(
		eq(int, rig_ask(VIRTIO_BLK_T_OUT, sector, n * DRIVE_SECTOR), VIRTIO_BLK_S_OK));
	memset(rig.model + sector * DRIVE_SECTOR, value, n * DRIVE_SECTOR);
}

/* ---- random ones ---- */

#define BATCH 12u

/* Requests that do not touch each other, all at once; then the model is as the drive should be. */
static void random_batch(void)
{
	uint32_t slice = RIG_SECTORS / BATCH;
	struct rig_request r[BATCH];
	struct vring_used_elem e;
	uint16_t head = 0;

	for (uint32_t i = 0; i < BATCH; i++) {
		uint64_t first = (uint64_t)rand() % slice;
		uint32_t n = 1 + (uint32_t)rand() % (slice - (uint32_t)first);

		r[i] = (struct rig_request){ .type = (uint32_t)rand() % 2,
					     .sector = i * slice + first,
					     .len = n * DRIVE_SECTOR,
					     .data = RIG_DATA + i * slice * DRIVE_SECTOR };
		if (r[i].type == VIRTIO_BLK_T_OUT) {
			memset(driver_at(&rig.driver, r[i].data, r[i].len), rand(), r[i].len);
			memcpy(rig.model + r[i].sector * DRIVE_SECTOR,
			       driver_at(&rig.driver, r[i].data, r[i].len), r[i].len);
		}
		head += rig_offer(i, &r[i], head, 1 + (uint16_t)(rand() % 16));
		if (rand() % 3 == 0)
			driver_notify(&rig.driver, 0);
	}
	driver_notify(&rig.driver, 0);
	for (uint32_t i = 0; i < BATCH; i++)
		rig_take(&e);
	for (uint32_t i = 0; i < BATCH; i++) {
		cr_assert(eq(u8, rig_status(i), VIRTIO_BLK_S_OK));
		cr_assert(eq(int,
			     memcmp(driver_at(&rig.driver, r[i].data, r[i].len),
				    rig.model + r[i].sector * DRIVE_SECTOR, r[i].len),
			     0));
	}
}

static void random_clear(void)
{
	uint64_t first = (uint64_t)rand() % RIG_SECTORS;
	uint32_t n = (uint32_t)rand() % MIN(RIG_SECTORS - (uint32_t)first, 300u);

	if (rand() % 2) {
		cr_assert(
			eq(int,
			   rig_clear(VIRTIO_BLK_T_WRITE_ZEROES, first, n, (uint32_t)rand() % 2),
			   VIRTIO_BLK_S_OK));
		memset(rig.model + first * DRIVE_SECTOR, 0, n * DRIVE_SECTOR);
		return;
	}
	cr_assert(eq(int, rig_clear(VIRTIO_BLK_T_DISCARD, first, n, 0), VIRTIO_BLK_S_OK));
	/* What is there now is not said; it stays. */
	cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_IN, first, n * DRIVE_SECTOR), VIRTIO_BLK_S_OK));
	memcpy(rig.model + first * DRIVE_SECTOR,
	       driver_at(&rig.driver, RIG_DATA, n * DRIVE_SECTOR), n * DRIVE_SECTOR);
}

void rig_random_io(int rounds, enum drive_mode mode)
{
	static uint8_t file[RIG_SIZE];

	for (int i = 0; i < rounds; i++) {
		random_batch();
		if (i % 3 == 0)
			random_clear();
		if (i % 10 == 0)
			cr_assert(eq(int, rig_ask(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK));
	}
	rig_expect_model();
	cr_assert(eq(sz, pread(rig.drive.fd, file, RIG_SIZE, 0), RIG_SIZE));
	if (mode == DRIVE_RW)
		cr_expect(eq(int, memcmp(file, rig.model, RIG_SIZE), 0));
}
