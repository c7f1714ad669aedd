/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/virtio_blk.h"
#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tests/helpers_refuse.h"
#include "tests/helpers_virtio.h"

#define SECTORS 2049u /* the last block of an overlay is cut */
#define SIZE	((uint64_t)SECTORS * DRIVE_SECTOR)

/* Where a request's parts lie; data has the second MiB and what follows. */
#define HEADER(i) (DRIVER_BUFFERS - 0x10000 + (i)*64)
#define STATUS(i) (HEADER(i) + 32)
#define DATA	  DRIVER_BUFFERS
#define NO_STATUS 0xee

static struct driver d;
static struct drive drive;
static struct virtio_blk_spec spec;
static struct err err;
static char scratch[256];
static uint8_t model[SIZE];

static void make_disk(void)
{
	srand(11);
	for (size_t i = 0; i < SIZE; i++)
		model[i] = (uint8_t)rand();
	scratch_make(scratch);
	bytes_write(scratch_path(scratch, "disk"), model, SIZE);
}

static void begin(enum drive_mode mode)
{
	make_disk();
	cr_assert(eq(int, drive_open(&drive, scratch_path(scratch, "disk"), mode, &err), 0),
		  "%s", err.text);
	spec.drive.drive = &drive;
	memcpy(spec.serial, "disk-of-twenty-bytes", sizeof(spec.serial));
	driver_init(&d, &virtio_blk_type, &spec);
	driver_start(&d, DRIVER_ALL);
}

static void end(void)
{
	driver_fini(&d);
	drive_close(&drive);
	scratch_remove(scratch);
}

TestSuite(virtio_blk, .timeout = 120);

/* ---- the driver ---- */

struct request {
	uint32_t type;
	uint64_t sector;
	uint32_t len;
	gpa_t data;
};

/* The i-th of a batch: header, data in @parts segments, status. Entries from @head on are its. */
static uint16_t offer(uint32_t i, const struct request *r, uint16_t head, uint16_t parts)
{
	struct virtio_blk_outhdr header = { .type = r->type, .sector = r->sector };
	uint16_t in = r->type == VIRTIO_BLK_T_IN || r->type == VIRTIO_BLK_T_GET_ID
			      ? VRING_DESC_F_WRITE
			      : 0;
	struct vring_desc chain[20];
	uint16_t n = 0;
	uint32_t left = r->len;

	memcpy(driver_at(&d, HEADER(i), sizeof(header)), &header, sizeof(header));
	*(uint8_t *)driver_at(&d, STATUS(i), 1) = NO_STATUS;
	chain[n++] = (struct vring_desc){ .addr = HEADER(i), .len = sizeof(header) };
	for (uint16_t k = 0; k < parts && left > 0; k++) {
		uint32_t part = k + 1 == parts ? left : MIN(left, r->len / parts + 1);

		chain[n++] = (struct vring_desc){ .addr = r->data + r->len - left,
						  .len = part,
						  .flags = in };
		left -= part;
	}
	chain[n++] =
		(struct vring_desc){ .addr = STATUS(i), .len = 1, .flags = VRING_DESC_F_WRITE };
	driver_offer(&d, 0, chain, n, head);
	return n;
}

static void take(struct vring_used_elem *e)
{
	/* Without a device thread somebody has to wait for the disk. */
	if (!d.vm.worker.is_running)
		d.dev->ops->settle(d.dev);
	cr_assert(driver_wait(&d, 0, e));
}

static uint8_t status_of(uint32_t i)
{
	return *(uint8_t *)driver_at(&d, STATUS(i), 1);
}

/* One request, alone. Returns its status. */
static uint8_t ask(uint32_t type, uint64_t sector, uint32_t len)
{
	struct request r = { .type = type, .sector = sector, .len = len, .data = DATA };
	struct vring_used_elem e;

	offer(0, &r, 0, 3);
	driver_notify(&d, 0);
	take(&e);
	cr_expect(eq(u32, e.id, 0));
	if (type == VIRTIO_BLK_T_IN && status_of(0) == VIRTIO_BLK_S_OK)
		cr_expect(eq(u32, e.len, len + 1));
	return status_of(0);
}

static uint8_t clear(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes range = { .sector = sector,
							 .num_sectors = n,
							 .flags = flags };

	memcpy(driver_at(&d, DATA, sizeof(range)), &range, sizeof(range));
	return ask(type, 0, sizeof(range));
}

static void expect_model(void)
{
	const uint32_t step = 1000;

	for (uint32_t sector = 0; sector < SECTORS; sector += step) {
		uint32_t n = MIN(step, SECTORS - sector);

		cr_assert(eq(int, ask(VIRTIO_BLK_T_IN, sector, n * DRIVE_SECTOR),
			     VIRTIO_BLK_S_OK));
		cr_assert(eq(int,
			     memcmp(driver_at(&d, DATA, n * DRIVE_SECTOR),
				    model + sector * DRIVE_SECTOR, n * DRIVE_SECTOR),
			     0));
	}
}

static void write_sectors(uint64_t sector, uint32_t n, uint8_t value)
{
	memset(driver_at(&d, DATA, n * DRIVE_SECTOR), value, n * DRIVE_SECTOR);
	cr_assert(eq(int, ask(VIRTIO_BLK_T_OUT, sector, n * DRIVE_SECTOR), VIRTIO_BLK_S_OK));
	memset(model + sector * DRIVE_SECTOR, value, n * DRIVE_SECTOR);
}

/* ---- what a driver sees ---- */

Test(virtio_blk, tells_what_it_is)
{
	struct virtio_blk_config config;

	begin(DRIVE_RW);
	cr_expect(eq(u32, driver_read(&d, VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK));
	for (uint32_t i = 0; i < 60; i += 4) {
		uint32_t word = driver_read(&d, VIRTIO_MMIO_CONFIG + i);

		memcpy((char *)&config + i, &word, sizeof(word));
	}
	cr_expect(eq(u64, config.capacity, SECTORS));
	cr_expect(eq(u32, config.blk_size, 512));
	cr_expect(eq(u32, config.seg_max, BLK_SEG_MAX));
	cr_expect(eq(u32, config.max_discard_seg, 1));
	cr_expect(eq(u8, config.write_zeroes_may_unmap, 1));
	cr_expect(eq(int, d.dev->features >> VIRTIO_BLK_F_RO & 1, 0));
	cr_expect(eq(int, d.dev->features >> VIRTIO_BLK_F_DISCARD & 1, 1));
	end();
}

Test(virtio_blk, of_a_read_only_drive_cannot_be_written_to)
{
	begin(DRIVE_RO);
	cr_expect(eq(int, d.dev->features >> VIRTIO_BLK_F_RO & 1, 1));
	cr_expect(eq(int, d.dev->features >> VIRTIO_BLK_F_DISCARD & 1, 0));
	cr_expect(eq(int, ask(VIRTIO_BLK_T_OUT, 0, 512), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, clear(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, ask(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK));
	expect_model();
	end();
}

Test(virtio_blk, has_a_serial_number)
{
	begin(DRIVE_RO);
	cr_expect(eq(int, ask(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, memcmp(driver_at(&d, DATA, 20), "disk-of-twenty-bytes", 20), 0));
	memset(driver_at(&d, DATA, 20), 0, 20);
	cr_expect(eq(int, ask(VIRTIO_BLK_T_GET_ID, 0, 4), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, memcmp(driver_at(&d, DATA, 20), "disk\0\0", 6), 0));
	end();
}

/* clang-format off */
static const struct row {
	uint32_t type; uint64_t sector; uint32_t len; uint8_t status; const char *why;
} rows[] = {
	{ VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK, "the first sector" },
	{ VIRTIO_BLK_T_IN, SECTORS - 1, 512, VIRTIO_BLK_S_OK, "the last" },
	{ VIRTIO_BLK_T_IN, SECTORS, 0, VIRTIO_BLK_S_OK, "none" },
	{ VIRTIO_BLK_T_IN, SECTORS, 512, VIRTIO_BLK_S_IOERR, "behind the end" },
	{ VIRTIO_BLK_T_IN, SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR, "over the end" },
	{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR, "a sum that wraps" },
	{ VIRTIO_BLK_T_IN, UINT64_MAX / 512, 1024, VIRTIO_BLK_S_IOERR, "a product that wraps" },
	{ VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR, "bytes that wrap to 0" },
	{ VIRTIO_BLK_T_IN, 0, 513, VIRTIO_BLK_S_IOERR, "not whole sectors" },
	{ VIRTIO_BLK_T_OUT, SECTORS, 512, VIRTIO_BLK_S_IOERR, "written behind the end" },
	{ VIRTIO_BLK_T_OUT, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR, "written far behind it" },
	{ VIRTIO_BLK_T_OUT, 0, 100, VIRTIO_BLK_S_IOERR, "part of a sector written" },
	{ VIRTIO_BLK_T_FLUSH, 0, 0, VIRTIO_BLK_S_OK, "a flush" },
	{ VIRTIO_BLK_T_FLUSH, UINT64_MAX, 0, VIRTIO_BLK_S_OK, "its sector is not looked at" },
	{ VIRTIO_BLK_T_DISCARD, 0, 15, VIRTIO_BLK_S_IOERR, "a range that is cut" },
	{ VIRTIO_BLK_T_DISCARD, 0, 32, VIRTIO_BLK_S_IOERR, "more ranges than one" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, VIRTIO_BLK_S_IOERR, "no range" },
	{ VIRTIO_BLK_T_SECURE_ERASE, 0, 16, VIRTIO_BLK_S_UNSUPP, "not offered" },
	{ 10 /* GET_LIFETIME */, 0, 0, VIRTIO_BLK_S_UNSUPP, "not offered either" },
	{ 12345, 0, 512, VIRTIO_BLK_S_UNSUPP, "unknown" },
	{ UINT32_MAX, 0, 0, VIRTIO_BLK_S_UNSUPP, "unknown, too" },
};
static const struct clear_row {
	uint32_t type; uint64_t sector; uint32_t n, flags; uint8_t status; const char *why;
} clear_rows[] = {
	{ VIRTIO_BLK_T_DISCARD, 8, 16, 0, VIRTIO_BLK_S_OK, "a discard" },
	{ VIRTIO_BLK_T_DISCARD, 8, 16, 1, VIRTIO_BLK_S_UNSUPP, "unmap is for zeroes only" },
	{ VIRTIO_BLK_T_DISCARD, 8, 0, 0, VIRTIO_BLK_S_OK, "nothing discarded" },
	{ VIRTIO_BLK_T_DISCARD, SECTORS, 1, 0, VIRTIO_BLK_S_IOERR, "behind the end" },
	{ VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR, "a sum that wraps" },
	{ VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR, "too much" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 8, 16, 2, VIRTIO_BLK_S_UNSUPP, "an unknown flag" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, SECTORS - 1, 2, 0, VIRTIO_BLK_S_IOERR, "over the end" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 1, VIRTIO_BLK_S_OK, "no zeroes" },
};
/* clang-format on */

static void ask_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		cr_expect(eq(u8, ask(r->type, r->sector, r->len), r->status), "%s", r->why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clear_rows); i++) {
		const struct clear_row *r = &clear_rows[i];

		cr_expect(eq(u8, clear(r->type, r->sector, r->n, r->flags), r->status), "%s",
			  r->why);
	}
}

Test(virtio_blk, answers_right_and_wrong_requests)
{
	struct stat st;

	for (int mode = DRIVE_RW; mode <= DRIVE_OVERLAY; mode++) {
		begin(mode);
		ask_all();
		cr_expect(gt(u64, virtio_blk_stats(&d.dev->dev)->refused, 10));
		cr_expect(eq(u64, virtio_blk_stats(&d.dev->dev)->errors, 0));
		cr_assert(eq(int, fstat(drive.fd, &st), 0));
		cr_expect(eq(u64, st.st_size, SIZE), "no request makes it longer");
		end();
	}
}

/* A chain by hand, that is no request. */
static void expect_broken(const struct vring_desc *chain, uint16_t n, const char *why)
{
	begin(DRIVE_OVERLAY);
	memset(driver_at(&d, HEADER(0), 64), 0, 64);
	driver_offer(&d, 0, chain, n, 0);
	driver_notify(&d, 0);
	cr_expect(ne(u32, driver_read(&d, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET, 0),
		  "%s", why);
	driver_start(&d, DRIVER_ALL);
	expect_model();
	end();
}

Test(virtio_blk, needs_a_reset_after_what_is_no_request)
{
	const uint16_t w = VRING_DESC_F_WRITE;
	const struct vring_desc short_header[] = { { HEADER(0), 15, 0, 0 },
						   { STATUS(0), 1, w, 0 } };
	const struct vring_desc no_status[] = { { HEADER(0), 16, 0, 0 } };
	const struct vring_desc no_header[] = { { STATUS(0), 1, w, 0 } };
	const struct vring_desc status_first[] = { { STATUS(0), 1, w, 0 },
						   { HEADER(0), 16, 0, 0 } };

	expect_broken(short_header, 2, "a header that is cut");
	expect_broken(no_status, 1, "no room for a status");
	expect_broken(no_header, 1, "no header");
	expect_broken(status_first, 2, "in the wrong order");
}

/* 2.7.4.3: nothing may be concluded from where one segment ends and the next begins. */
Test(virtio_blk, takes_requests_in_any_framing)
{
	const uint16_t w = VRING_DESC_F_WRITE;
	const struct vring_desc one_each[] = { { DATA, 16 + 512, 0, 0 },
					       { STATUS(0), 1, w, 0 } };
	const struct vring_desc bytes[] = { { DATA, 7, 0, 0 },
					    { DATA + 7, 9, 0, 0 },
					    { DATA + 0x1000, 1000, w, 0 },
					    { DATA + 0x1000 + 1000, 25, w, 0 } };
	struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_OUT, .sector = 5 };
	struct vring_used_elem e;

	begin(DRIVE_RW);
	memcpy(driver_at(&d, DATA, 16), &header, 16);
	memset(driver_at(&d, DATA + 16, 512), 0x5a, 512);
	memset(model + 5 * 512, 0x5a, 512);
	driver_offer(&d, 0, one_each, 2, 0);
	driver_notify(&d, 0);
	take(&e);
	cr_expect(eq(u8, status_of(0), VIRTIO_BLK_S_OK));
	header.type = VIRTIO_BLK_T_IN;
	memcpy(driver_at(&d, DATA, 16), &header, 16);
	driver_offer(&d, 0, bytes, 4, 0);
	driver_notify(&d, 0);
	take(&e);
	cr_expect(eq(u32, e.len, 1025));
	cr_expect(
		eq(int, memcmp(driver_at(&d, DATA + 0x1000, 1024), model + 5 * 512, 1024), 0));
	cr_expect(eq(u8, *(uint8_t *)driver_at(&d, DATA + 0x1000 + 1024, 1), VIRTIO_BLK_S_OK));
	end();
}

/* ---- random I/O ---- */

#define BATCH 12u

/* Requests that do not touch each other, all at once; then the model is as the drive should be. */
static void random_batch(void)
{
	uint32_t slice = SECTORS / BATCH;
	struct request r[BATCH];
	struct vring_used_elem e;
	uint16_t head = 0;

	for (uint32_t i = 0; i < BATCH; i++) {
		uint64_t first = (uint64_t)rand() % slice;
		uint32_t n = 1 + (uint32_t)rand() % (slice - (uint32_t)first);

		r[i] = (struct request){ .type = (uint32_t)rand() % 2,
					 .sector = i * slice + first,
					 .len = n * DRIVE_SECTOR,
					 .data = DATA + i * slice * DRIVE_SECTOR };
		if (r[i].type == VIRTIO_BLK_T_OUT) {
			memset(driver_at(&d, r[i].data, r[i].len), rand(), r[i].len);
			memcpy(model + r[i].sector * DRIVE_SECTOR,
			       driver_at(&d, r[i].data, r[i].len), r[i].len);
		}
		head += offer(i, &r[i], head, 1 + (uint16_t)(rand() % 16));
		if (rand() % 3 == 0)
			driver_notify(&d, 0);
	}
	driver_notify(&d, 0);
	for (uint32_t i = 0; i < BATCH; i++)
		take(&e);
	for (uint32_t i = 0; i < BATCH; i++) {
		cr_assert(eq(u8, status_of(i), VIRTIO_BLK_S_OK));
		cr_assert(eq(int,
			     memcmp(driver_at(&d, r[i].data, r[i].len),
				    model + r[i].sector * DRIVE_SECTOR, r[i].len),
			     0));
	}
}

static void random_clear(void)
{
	uint64_t first = (uint64_t)rand() % SECTORS;
	uint32_t n = (uint32_t)rand() % MIN(SECTORS - (uint32_t)first, 300u);

	if (rand() % 2) {
		cr_assert(eq(int,
			     clear(VIRTIO_BLK_T_WRITE_ZEROES, first, n, (uint32_t)rand() % 2),
			     VIRTIO_BLK_S_OK));
		memset(model + first * DRIVE_SECTOR, 0, n * DRIVE_SECTOR);
		return;
	}
	cr_assert(eq(int, clear(VIRTIO_BLK_T_DISCARD, first, n, 0), VIRTIO_BLK_S_OK));
	/* What is there now is not said; it stays. */
	cr_assert(eq(int, ask(VIRTIO_BLK_T_IN, first, n * DRIVE_SECTOR), VIRTIO_BLK_S_OK));
	memcpy(model + first * DRIVE_SECTOR, driver_at(&d, DATA, n * DRIVE_SECTOR),
	       n * DRIVE_SECTOR);
}

static void random_io(int rounds, enum drive_mode mode)
{
	static uint8_t file[SIZE];

	for (int i = 0; i < rounds; i++) {
		random_batch();
		if (i % 3 == 0)
			random_clear();
		if (i % 10 == 0)
			cr_assert(eq(int, ask(VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK));
	}
	expect_model();
	cr_assert(eq(sz, pread(drive.fd, file, SIZE, 0), SIZE));
	if (mode == DRIVE_RW)
		cr_expect(eq(int, memcmp(file, model, SIZE), 0));
}

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
	begin(w->mode);
	if (w->has_thread)
		driver_connect(&d);
	if (!w->has_features) /* then a write is on the disk when it is done */
		driver_start(&d, 1ull << VIRTIO_F_VERSION_1);
	random_io(100, w->mode);
	end();
}

Test(virtio_blk, an_overlay_leaves_its_file_alone)
{
	static uint8_t before[SIZE], after[SIZE];

	begin(DRIVE_OVERLAY);
	memcpy(before, model, SIZE);
	driver_connect(&d);
	random_io(30, DRIVE_OVERLAY);
	cr_assert(eq(sz, pread(drive.fd, after, SIZE, 0), SIZE));
	cr_expect(eq(int, memcmp(before, after, SIZE), 0));
	end();
}

Test(virtio_blk, a_full_queue_is_served_and_more_behind_it)
{
	struct vring_used_elem e;

	begin(DRIVE_RW);
	driver_connect(&d);
	for (int round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 85; i++) { /* of three entries each */
			struct request r = { VIRTIO_BLK_T_IN, i, 512, DATA + i * 512 };

			offer(i, &r, (uint16_t)(i * 3), 1);
		}
		driver_notify(&d, 0);
		for (uint32_t i = 0; i < 85; i++)
			take(&e);
		cr_assert(eq(int, memcmp(driver_at(&d, DATA, 85 * 512), model, 85 * 512), 0));
	}
	end();
}

/* ---- failures ---- */

Test(virtio_blk, a_file_that_was_cut_is_an_error_of_the_disk)
{
	begin(DRIVE_RO);
	cr_assert(eq(int, truncate(scratch_path(scratch, "disk"), 4096), 0));
	cr_expect(eq(int, ask(VIRTIO_BLK_T_IN, 0, 4096), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, ask(VIRTIO_BLK_T_IN, 4, 4096), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, ask(VIRTIO_BLK_T_IN, 100, 4096), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(u64, virtio_blk_stats(&d.dev->dev)->errors, 2));
	end();
}

Test(virtio_blk, a_full_overlay_is_an_error_of_the_disk)
{
	spec.drive.max_blocks = 2;
	begin(DRIVE_OVERLAY);
	write_sectors(0, 16, 1);
	cr_expect(eq(int, ask(VIRTIO_BLK_T_OUT, 16, 512), VIRTIO_BLK_S_IOERR));
	write_sectors(3, 2, 2);
	expect_model();
	cr_expect(eq(u64, virtio_blk_stats(&d.dev->dev)->errors, 1));
	end();
}

Test(virtio_blk, a_reset_waits_for_what_is_in_flight)
{
	struct request r = { VIRTIO_BLK_T_IN, 0, 64 << 10, DATA };

	begin(DRIVE_RW);
	driver_connect(&d);
	for (int round = 0; round < 200; round++) {
		posix_fadvise(drive.fd, 0, 0, POSIX_FADV_DONTNEED);
		for (uint32_t i = 0; i < 8; i++)
			offer(i, &r, (uint16_t)(i * 3), 1);
		driver_notify(&d, 0);
		driver_write(&d, VIRTIO_MMIO_STATUS, 0);
		memset(driver_at(&d, DATA, r.len), 0x77, r.len);
		for (uint32_t i = 0; i < r.len; i += 4096)
			cr_assert(eq(u8, *(uint8_t *)driver_at(&d, DATA + i, 1), 0x77));
		driver_start(&d, DRIVER_ALL);
	}
	expect_model();
	end();
}

/* ---- the rate limit ---- */

Test(virtio_blk, a_limit_of_requests_is_kept)
{
	nsec_t from, took;

	spec.ops = (struct rate_limit){ .size = 5, .refill_ms = 100 };
	begin(DRIVE_RO);
	driver_connect(&d);
	from = clock_monotonic();
	for (int i = 0; i < 20; i++)
		cr_assert(eq(int, ask(VIRTIO_BLK_T_IN, 0, 512), VIRTIO_BLK_S_OK));
	took = clock_monotonic() - from;
	cr_expect(ge(u64, took, 280 * NSEC_PER_MSEC));
	cr_expect(gt(u64, virtio_blk_stats(&d.dev->dev)->throttled, 0));
	end();
}

Test(virtio_blk, a_limit_of_bytes_is_kept)
{
	nsec_t from, took;

	spec.bytes =
		(struct rate_limit){ .size = 100 << 10, .burst = 64 << 10, .refill_ms = 100 };
	begin(DRIVE_OVERLAY);
	driver_connect(&d);
	from = clock_monotonic();
	for (int i = 0; i < 16; i++)
		cr_assert(eq(int, ask(VIRTIO_BLK_T_OUT, 0, 32 << 10), VIRTIO_BLK_S_OK));
	took = clock_monotonic() - from;
	cr_expect(ge(u64, took, 250 * NSEC_PER_MSEC));
	end();
}

/* ---- freezing ---- */

static struct virtio_blk_state saved(void)
{
	struct virtio_blk_state s;

	cr_assert(eq(int, vm_drain(&d.vm, &err), 0), "%s", err.text);
	memcpy(&s, device_state(&d.dev->dev), sizeof(s));
	return s;
}

static int load(const struct virtio_blk_state *s)
{
	int ret = state_load(&virtio_blk_type.state, device_state(&d.dev->dev), s, sizeof(*s),
			     &err);

	return ret < 0 ? ret : virtio_blk_type.load(&d.dev->dev, &err);
}

Test(virtio_blk, its_state_is_all_in_its_table)
{
	cr_expect(eq(int, state_covers(&virtio_blk_type.state, &err), 0), "%s", err.text);
}

/* Nobody may take the machine's memory for another's then. */
Test(virtio_blk, a_drain_fails_when_requests_do_not_come_back)
{
	struct request r = { .type = VIRTIO_BLK_T_IN, .len = DRIVE_SECTOR, .data = DATA };
	struct virtio_blk *blk;
	struct io_uring *ring;
	int fd;

	begin(DRIVE_RW);
	blk = container_of(d.dev, struct virtio_blk, virtio);
	ring = &blk->io.ring;
	if (!blk->io.has_ring)
		cr_skip_test("no io_uring here");
	fd = ring->ring_fd;
	ring->ring_fd = ring->enter_ring_fd = -1;
	offer(0, &r, 0, 1);
	driver_notify(&d, 0);
	cr_expect(eq(int, vm_drain(&d.vm, &err), -EIO), "%s", err.text);
	ring->ring_fd = ring->enter_ring_fd = fd;
	cr_expect(eq(int, vm_drain(&d.vm, &err), 0), "%s", err.text);
	cr_expect(eq(int, status_of(0), VIRTIO_BLK_S_OK));
	end();
}

Test(virtio_blk, a_rewind_takes_back_what_an_overlay_has)
{
	static uint8_t before[SIZE];
	struct virtio_blk_state s;

	begin(DRIVE_OVERLAY);
	memcpy(before, model, SIZE);
	for (int i = 0; i < 10; i++) {
		s = saved();
		random_io(5, DRIVE_OVERLAY);
		saved();
		/* As if memory went back, too. */
		cr_assert(eq(int, load(&s), 0), "%s", err.text);
		memcpy(model, before, SIZE);
		driver_start(&d, DRIVER_ALL);
		expect_model();
	}
	end();
}

Test(virtio_blk, a_clone_goes_on_where_its_machine_stopped)
{
	struct virtio_blk_state s;
	struct driver_queue queue;

	begin(DRIVE_RO);
	expect_model();
	s = saved();
	queue = d.queues[0];
	memset(spec.serial, 'x', sizeof(spec.serial));
	driver_fini(&d);
	/* It has a disk before it knows which. */
	spec.drive.drive = NULL;
	driver_init(&d, &virtio_blk_type, &spec);
	driver_connect(&d);
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "none was given"), NULL), "%s", err.text);
	spec.drive.drive = &drive;
	cr_assert(eq(int, virtio_blk_attach(&d.dev->dev, &spec.drive, &err), 0), "%s",
		  err.text);
	/* The rings, as the guest's memory has them. */
	driver_avail(&d, 0)->idx = driver_used(&d, 0)->idx = queue.next;
	cr_assert(eq(int, load(&s), 0), "%s", err.text);
	d.queues[0] = queue;
	expect_model();
	cr_expect(eq(int, ask(VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, memcmp(driver_at(&d, DATA, 20), "disk-of-twenty-bytes", 20), 0),
		  "the guest knows it by that");
	end();
}

Test(virtio_blk, another_drive_than_the_machines_is_refused)
{
	struct virtio_blk_state s;

	begin(DRIVE_OVERLAY);
	s = saved();
	s.sectors++;
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "has 2050 sectors, the one given 2049"), NULL), "%s",
		  err.text);
	s.sectors--;
	s.read_only = 1;
	cr_expect(eq(int, load(&s), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "read-only"), NULL), "%s", err.text);
	s.read_only = 2;
	cr_expect(eq(int, load(&s), -ERANGE));
	end();
}

Test(virtio_blk, frozen_blocks_need_an_overlay)
{
	struct virtio_blk_drive with = { .drive = &drive };
	struct blocks frozen;
	int fd;

	begin(DRIVE_RW);
	cr_assert(eq(int, blocks_create_shared(&frozen, SIZE, &fd, &err), 0));
	with.frozen = &frozen;
	cr_expect(eq(int, virtio_blk_attach(&d.dev->dev, &with, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "takes an overlay"), NULL), "%s", err.text);
	blocks_close(&frozen);
	close(fd);
	end();
}

Test(virtio_blk, a_drive_that_is_closed_is_free)
{
	for (int i = 0; i < 20; i++) {
		nsec_t from;

		begin(DRIVE_RW);
		write_sectors(0, 8, (uint8_t)i);
		driver_fini(&d);
		drive_close(&drive);
		from = clock_monotonic();
		cr_assert(eq(int,
			     drive_open(&drive, scratch_path(scratch, "disk"), DRIVE_RW, &err),
			     0),
			  "%s", err.text);
		cr_expect(lt(u64, clock_monotonic() - from, 100 * NSEC_PER_MSEC));
		drive_close(&drive);
		scratch_remove(scratch);
	}
}
