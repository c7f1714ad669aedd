/* SPDX-License-Identifier: Apache-2.0 */
/* test_virtio_blk_wrong.c - requests that are wrong, or framed like no other, and disks that fail. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/helpers_blk.h"
#include "tests/helpers_image.h"

TestSuite(virtio_blk_wrong, .timeout = 120);

/* clang-format off */
static const struct row {
	uint32_t type; uint64_t sector; uint32_t len; uint8_t status; const char *why;
} rows[] = {
	{ VIRTIO_BLK_T_IN, 0, 512, VIRTIO_BLK_S_OK, "the first sector" },
	{ VIRTIO_BLK_T_IN, RIG_SECTORS - 1, 512, VIRTIO_BLK_S_OK, "the last" },
	{ VIRTIO_BLK_T_IN, RIG_SECTORS, 0, VIRTIO_BLK_S_OK, "none" },
	{ VIRTIO_BLK_T_IN, RIG_SECTORS, 512, VIRTIO_BLK_S_IOERR, "behind the end" },
	{ VIRTIO_BLK_T_IN, RIG_SECTORS - 1, 1024, VIRTIO_BLK_S_IOERR, "over the end" },
	{ VIRTIO_BLK_T_IN, UINT64_MAX, 512, VIRTIO_BLK_S_IOERR, "a sum that wraps" },
	{ VIRTIO_BLK_T_IN, UINT64_MAX / 512, 1024, VIRTIO_BLK_S_IOERR, "a product that wraps" },
	{ VIRTIO_BLK_T_IN, 1ull << 55, 512, VIRTIO_BLK_S_IOERR, "bytes that wrap to 0" },
	{ VIRTIO_BLK_T_IN, 0, 513, VIRTIO_BLK_S_IOERR, "not whole sectors" },
	{ VIRTIO_BLK_T_OUT, RIG_SECTORS, 512, VIRTIO_BLK_S_IOERR, "written behind the end" },
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
	{ VIRTIO_BLK_T_DISCARD, RIG_SECTORS, 1, 0, VIRTIO_BLK_S_IOERR, "behind the end" },
	{ VIRTIO_BLK_T_DISCARD, UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR, "a sum that wraps" },
	{ VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR, "too much" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 8, 16, 2, VIRTIO_BLK_S_UNSUPP, "an unknown flag" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, RIG_SECTORS - 1, 2, 0, VIRTIO_BLK_S_IOERR, "over the end" },
	{ VIRTIO_BLK_T_WRITE_ZEROES, 0, 0, 1, VIRTIO_BLK_S_OK, "no zeroes" },
};
/* clang-format on */

static void ask_all(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *r = &rows[i];

		cr_expect(eq(u8, rig_ask(r->type, r->sector, r->len), r->status), "%s", r->why);
	}
	for (size_t i = 0; i < ARRAY_SIZE(clear_rows); i++) {
		const struct clear_row *r = &clear_rows[i];

		cr_expect(eq(u8, rig_clear(r->type, r->sector, r->n, r->flags), r->status),
			  "%s", r->why);
	}
}

Test(virtio_blk_wrong, answers_right_and_wrong_requests)
{
	struct stat st;

	for (int mode = DRIVE_RW; mode <= DRIVE_OVERLAY; mode++) {
		rig_begin(mode);
		ask_all();
		cr_expect(gt(u64, virtio_blk_stats(&rig.driver.dev->dev)->refused, 10));
		cr_expect(eq(u64, virtio_blk_stats(&rig.driver.dev->dev)->errors, 0));
		cr_assert(eq(int, fstat(rig.drive.fd, &st), 0));
		cr_expect(eq(u64, st.st_size, RIG_SIZE), "no request makes it longer");
		rig_end();
	}
}

/* A chain by hand, that is no request. */
static void expect_broken(const struct vring_desc *chain, uint16_t n, const char *why)
{
	rig_begin(DRIVE_OVERLAY);
	memset(driver_at(&rig.driver, RIG_HEADER(0), 64), 0, 64);
	driver_offer(&rig.driver, 0, chain, n, 0);
	driver_notify(&rig.driver, 0);
	cr_expect(ne(u32,
		     driver_read(&rig.driver, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET,
		     0),
		  "%s", why);
	driver_start(&rig.driver, DRIVER_ALL);
	rig_expect_model();
	rig_end();
}

Test(virtio_blk_wrong, needs_a_reset_after_what_is_no_request)
{
	const uint16_t w = VRING_DESC_F_WRITE;
	const struct vring_desc short_header[] = { { RIG_HEADER(0), 15, 0, 0 },
						   { RIG_STATUS(0), 1, w, 0 } };
	const struct vring_desc no_status[] = { { RIG_HEADER(0), 16, 0, 0 } };
	const struct vring_desc no_header[] = { { RIG_STATUS(0), 1, w, 0 } };
	const struct vring_desc status_first[] = { { RIG_STATUS(0), 1, w, 0 },
						   { RIG_HEADER(0), 16, 0, 0 } };

	expect_broken(short_header, 2, "a header that is cut");
	expect_broken(no_status, 1, "no room for a status");
	expect_broken(no_header, 1, "no header");
	expect_broken(status_first, 2, "in the wrong order");
}

/* 2.7.4.3: nothing may be concluded from where one segment ends and the next begins. */
Test(virtio_blk_wrong, takes_requests_in_any_framing)
{
	const uint16_t w = VRING_DESC_F_WRITE;
	const struct vring_desc one_each[] = { { RIG_DATA, 16 + 512, 0, 0 },
					       { RIG_STATUS(0), 1, w, 0 } };
	const struct vring_desc bytes[] = { { RIG_DATA, 7, 0, 0 },
					    { RIG_DATA + 7, 9, 0, 0 },
					    { RIG_DATA + 0x1000, 1000, w, 0 },
					    { RIG_DATA + 0x1000 + 1000, 25, w, 0 } };
	struct virtio_blk_outhdr header = { .type = VIRTIO_BLK_T_OUT, .sector = 5 };
	struct vring_used_elem e;

	rig_begin(DRIVE_RW);
	memcpy(driver_at(&rig.driver, RIG_DATA, 16), &header, 16);
	memset(driver_at(&rig.driver, RIG_DATA + 16, 512), 0x5a, 512);
	memset(rig.model + 5 * 512, 0x5a, 512);
	driver_offer(&rig.driver, 0, one_each, 2, 0);
	driver_notify(&rig.driver, 0);
	rig_take(&e);
	cr_expect(eq(u8, rig_status(0), VIRTIO_BLK_S_OK));
	header.type = VIRTIO_BLK_T_IN;
	memcpy(driver_at(&rig.driver, RIG_DATA, 16), &header, 16);
	driver_offer(&rig.driver, 0, bytes, 4, 0);
	driver_notify(&rig.driver, 0);
	rig_take(&e);
	cr_expect(eq(u32, e.len, 1025));
	cr_expect(eq(int,
		     memcmp(driver_at(&rig.driver, RIG_DATA + 0x1000, 1024),
			    rig.model + 5 * 512, 1024),
		     0));
	cr_expect(eq(u8, *(uint8_t *)driver_at(&rig.driver, RIG_DATA + 0x1000 + 1024, 1),
		     VIRTIO_BLK_S_OK));
	rig_end();
}

/* ---- failures ---- */

Test(virtio_blk_wrong, a_file_that_was_cut_is_an_error_of_the_disk)
{
	rig_begin(DRIVE_RO);
	cr_assert(eq(int, truncate(scratch_path(rig.scratch, "disk"), 4096), 0));
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_IN, 0, 4096), VIRTIO_BLK_S_OK));
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_IN, 4, 4096), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_IN, 100, 4096), VIRTIO_BLK_S_IOERR));
	cr_expect(eq(u64, virtio_blk_stats(&rig.driver.dev->dev)->errors, 2));
	rig_end();
}

Test(virtio_blk_wrong, a_full_overlay_is_an_error_of_the_disk)
{
	rig.config.max_blocks = 2;
	rig_begin(DRIVE_OVERLAY);
	rig_write(0, 16, 1);
	cr_expect(eq(int, rig_ask(VIRTIO_BLK_T_OUT, 16, 512), VIRTIO_BLK_S_IOERR));
	rig_write(3, 2, 2);
	rig_expect_model();
	cr_expect(eq(u64, virtio_blk_stats(&rig.driver.dev->dev)->errors, 1));
	rig_end();
}

Test(virtio_blk_wrong, frozen_blocks_need_an_overlay)
{
	struct virtio_blk_drive with = { .drive = &rig.drive };
	struct blocks frozen;
	int fd;

	rig_begin(DRIVE_RW);
	cr_assert(eq(int, blocks_create_shared(&frozen, RIG_SIZE, &fd, &rig.err), 0));
	with.frozen = &frozen;
	cr_expect(eq(int, virtio_blk_attach(&rig.driver.dev->dev, &with, &rig.err), -EINVAL));
	cr_expect(ne(ptr, strstr(rig.err.text, "takes an overlay"), NULL), "%s", rig.err.text);
	blocks_close(&frozen);
	close(fd);
	rig_end();
}
