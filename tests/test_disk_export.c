/* SPDX-License-Identifier: Apache-2.0 */
/* test_disk_export.c - a drive as one file: what lies below, and what was written above it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/overlay.h"
#include "engine/err.h"
#include "snapshot/disk_export.h"
#include "snapshot/disks.h"
#include "snapshot/overlay_file.h"
#include "tests/helpers_image.h"

#define BLOCKS 700u
#define SIZE   ((uint64_t)BLOCKS * BLOCKS_SIZE - 512) /* the last one is cut */

static uint8_t base[SIZE], wanted[SIZE], got[SIZE];
static struct err err;

/* What a machine wrote: a whole block, one that ends with the drive, and zeros. */
static void freeze_some(struct disk *disk)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	struct overlay o;
	uint64_t size;
	uint8_t *at;

	cr_assert(eq(int, overlay_init(&o, disk->drive.fd, SIZE, NULL, 0, &err), 0));
	cr_assert(eq(int, overlay_claim(&o, 5000, 10000, &at), 0));
	memset(at, 0xab, 10000);
	memset(wanted + 5000, 0xab, 10000);
	cr_assert(eq(int, overlay_claim(&o, SIZE - 3, 3, &at), 0));
	memset(at, 0xcd, 3);
	memset(wanted + SIZE - 3, 0xcd, 3);
	cr_assert(eq(int, overlay_zero(&o, 300 * BLOCKS_SIZE, 9 * BLOCKS_SIZE), 0));
	memset(wanted + 300 * BLOCKS_SIZE, 0, 9 * BLOCKS_SIZE);
	cr_assert(eq(int, overlay_file_write(fd, 0, &o, &size, &err), 0), "%s", err.text);
	cr_assert(eq(int,
		     overlay_file_load(fd, SIZE, NULL, &disk->frozen, &disk->frozen_fd, &err),
		     0),
		  "%s", err.text);
	overlay_fini(&o);
	close(fd);
}

static void expect_export(const struct disk *disk)
{
	int fd = memfd_create("export", MFD_CLOEXEC);
	struct stat st;

	cr_assert(eq(int, disk_export(disk, fd, &err), 0), "%s", err.text);
	cr_assert(eq(int, fstat(fd, &st), 0));
	cr_assert(eq(u64, (uint64_t)st.st_size, SIZE));
	cr_assert(eq(sz, (size_t)pread(fd, got, SIZE, 0), SIZE));
	cr_expect(eq(int, memcmp(got, wanted, SIZE), 0));
	close(fd);
}

Test(disk_export, a_drive_is_what_lies_below_and_what_was_written_above)
{
	struct disk disk = { .frozen_fd = -1 };

	for (size_t i = 0; i < SIZE; i++)
		base[i] = wanted[i] =
			i % (100 * BLOCKS_SIZE) < 50 * BLOCKS_SIZE ? (uint8_t)(i >> 8) : 0;
	disk.drive = (struct drive){ .fd = bytes_memfd(base, SIZE),
				     .size = SIZE,
				     .mode = DRIVE_OVERLAY };
	expect_export(&disk);
	freeze_some(&disk);
	expect_export(&disk);
	blocks_close(&disk.frozen);
	close(disk.frozen_fd);
	close(disk.drive.fd);
}

Test(disk_export, a_file_that_became_shorter_is_told)
{
	struct disk disk = { .frozen_fd = -1,
			     .drive = { .fd = bytes_memfd(base, SIZE - 512), .size = SIZE } };
	int fd = memfd_create("export", MFD_CLOEXEC);

	cr_expect(lt(int, disk_export(&disk, fd, &err), 0));
	close(fd);
	close(disk.drive.fd);
}
