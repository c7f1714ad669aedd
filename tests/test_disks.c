/* SPDX-License-Identifier: Apache-2.0 */
/* test_disks.c - the drives of an image: what a start says of them, and what was written to them. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "devices/overlay.h"
#include "engine/err.h"
#include "snapshot/disks.h"
#include "snapshot/image.h"
#include "snapshot/image_writer.h"
#include "snapshot/overlay_file.h"
#include "snapshot/thaw.h"
#include "tests/helpers_image.h"

#define SIZE (5u * BLOCKS_SIZE)

static char dir[256];
static struct manifest_drive drives[2];
static struct image img;
static struct disks disks;
static struct disk_choices choices;
static struct err err;

/* What a machine wrote to the second one. */
static int written(void)
{
	int fd = memfd_create("written", MFD_CLOEXEC);
	struct overlay o;
	uint64_t size;
	uint8_t *at;

	cr_assert(eq(int, overlay_init(&o, -1, SIZE, NULL, 0, &err), 0));
	cr_assert(eq(int, overlay_claim(&o, 0, BLOCKS_SIZE, &at), 0));
	memset(at, 0xab, BLOCKS_SIZE);
	cr_assert(eq(int, overlay_file_write(fd, 0, &o, &size, &err), 0), "%s", err.text);
	overlay_fini(&o);
	return fd;
}

static void write_image(void)
{
	int files[MANIFEST_MAX_DRIVES];
	struct manifest manifest;
	struct state_writer state;
	struct mem mem;
	struct image_content c = {
		.manifest = &manifest, .mem = &mem, .state = &state, .disk_fds = files
	};

	sample_mem(&mem);
	sample_manifest(&manifest);
	sample_state(&state);
	disk_files_init(files);
	files[1] = written();
	cr_assert(eq(int, manifest_set_drives(&manifest, 2, drives, &err), 0));
	cr_assert(eq(int, image_write(scratch_path(dir, "image"), &c, &err), 0), "%s",
		  err.text);
	disk_files_close(files);
	state_writer_fini(&state);
	manifest_fini(&manifest);
	mem_unmap(&mem);
}

static void setup(void)
{
	static const uint8_t zeros[SIZE];

	scratch_make(dir);
	for (int i = 0; i < 2; i++) {
		snprintf(drives[i].id, sizeof(drives[i].id), "d%d", i);
		snprintf(drives[i].path, sizeof(drives[i].path), "%s",
			 scratch_path(dir, drives[i].id));
		drives[i].size = SIZE;
		bytes_write(drives[i].path, zeros, SIZE);
	}
	drives[0].bytes = (struct rate_limit){ .size = 4096, .burst = 512, .refill_ms = 1000 };
	write_image();
	cr_assert(eq(int, image_open(&img, scratch_path(dir, "image"), &err), 0), "%s",
		  err.text);
}

static void teardown(void)
{
	disks_close(&disks);
	disk_choices_close(&choices);
	image_close(&img);
	scratch_remove(dir);
}

TestSuite(disks, .init = setup, .fini = teardown);

static void on_signal(int sig)
{
	(void)sig;
}

/* As of a deadline that was late. */
Test(disks, are_written_whatever_signals_come)
{
	const struct sigaction sa = { .sa_handler = on_signal };
	const struct itimerval often = { .it_value = { .tv_usec = 50 },
					 .it_interval = { .tv_usec = 50 } };
	const struct itimerval never = { 0 };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 100; i++)
		write_image();
	setitimer(ITIMER_REAL, &never, NULL);
}

static void must_open(void)
{
	disks_close(&disks);
	cr_assert(eq(int, disks_open(&disks, &img, &choices, &err), 0), "%s", err.text);
}

Test(disks, limits_are_those_of_the_image)
{
	must_open();
	cr_expect(eq(u64, disks.disk[0].bytes.size, 4096));
	cr_expect(eq(u64, disks.disk[0].bytes.burst, 512));
	cr_expect(eq(u32, disks.disk[0].bytes.refill_ms, 1000));
	cr_expect(eq(int, disks.disk[0].bytes.is_new, 0));
	cr_expect(eq(u64, disks.disk[0].ops.size, 0));
	cr_expect(eq(u64, disks.disk[1].bytes.size, 0));
}

Test(disks, a_start_has_others_also_of_the_images_file)
{
	const struct rate_limit none = { .refill_ms = 1 }, few = { .size = 7, .refill_ms = 1 };

	cr_assert(eq(int, disks_limit(&choices, &img, "d0", NULL, &few, &err), 0));
	must_open();
	cr_expect(eq(str, disks.disk[0].path, drives[0].path));
	cr_expect(eq(u64, disks.disk[0].bytes.size, 4096), "of which nothing was said");
	cr_expect(eq(u64, disks.disk[0].ops.size, 7));
	cr_expect(eq(int, disks.disk[0].ops.is_new, 1));
	cr_assert(eq(int, disks_limit(&choices, &img, "d0", &none, NULL, &err), 0));
	must_open();
	cr_expect(eq(u64, disks.disk[0].bytes.size, 0));
	cr_expect(eq(u64, disks.disk[0].ops.size, 7), "it was said before");
	cr_expect(eq(u64, disks.disk[1].ops.size, 0));
	cr_expect(eq(int, disks_limit(&choices, &img, "d2", &few, NULL, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "has no drive 'd2'"), NULL), "%s", err.text);
}

Test(disks, another_file_keeps_the_limits)
{
	const struct rate_limit few = { .size = 7, .refill_ms = 1 };
	const char *path = scratch_path(dir, "d1");

	cr_assert(eq(int, disks_limit(&choices, &img, "d0", NULL, &few, &err), 0));
	cr_assert(eq(int, disks_choose(&choices, &img, "d0", path, -1, &err), 0));
	must_open();
	cr_expect(eq(str, disks.disk[0].path, (char *)path));
	cr_expect(eq(u64, disks.disk[0].bytes.size, 4096));
	cr_expect(eq(u64, disks.disk[0].ops.size, 7));
}

Test(disks, wrong_limits_are_refused)
{
	const struct thaw_limit no_time = { .size = 1 }, good = { .size = 1, .refill_ms = 1 };
	const struct thaw_limit large = { .size = 1ull << 63, .refill_ms = 1 };
	struct thaw_image *image;
	struct thaw_err said;

	cr_assert(eq(int, thaw_image_open(&image, scratch_path(dir, "image"), &said), 0));
	cr_expect(eq(int, thaw_image_limit_drive(image, "d0", &good, &good, &said), 0));
	cr_expect(eq(int, thaw_image_limit_drive(image, "d0", NULL, NULL, &said), 0));
	cr_expect(eq(int, thaw_image_limit_drive(image, "d9", &good, NULL, &said), -EINVAL));
	cr_expect(eq(int, thaw_image_limit_drive(image, "d0", &no_time, NULL, &said), -EINVAL));
	cr_expect(ne(ptr, strstr(said.text, "without its refill_ms"), NULL), "%s", said.text);
	cr_expect(eq(int, thaw_image_limit_drive(image, "d0", NULL, &large, &said), -EINVAL));
	thaw_image_close(image);
}

Test(disks, what_was_written_is_checked_when_it_is_read)
{
	size_t len;
	uint8_t *bytes = bytes_read(scratch_path(dir, "image/disk1.bin"), &len);

	must_open();
	cr_assert(ge(int, disks.disk[1].frozen_fd, 0));
	cr_expect(eq(u8, disks.disk[1].frozen.data[5], 0xab));
	cr_expect(lt(int, disks.disk[0].frozen_fd, 0));
	cr_expect(eq(int, image_verify(&img, NULL, NULL, &err), 0), "%s", err.text);
	disks_close(&disks);
	image_close(&img);
	bytes[1000] ^= 1; /* between the table and the blocks: no CRC has it */
	bytes_write(scratch_path(dir, "image/disk1.bin"), bytes, len);
	cr_assert(eq(int, image_open(&img, scratch_path(dir, "image"), &err), 0), "%s",
		  err.text);
	cr_expect(eq(int, disks_open(&disks, &img, NULL, &err), -ERR_DAMAGED));
	cr_expect(ne(ptr, strstr(err.text, "disk1.bin: blocks of a drive: sha256 is"), NULL),
		  "%s", err.text);
	cr_expect(eq(int, image_verify(&img, NULL, NULL, &err), -ERR_DAMAGED));
	cr_expect(ne(ptr, strstr(err.text, "disk1.bin: sha256 is"), NULL), "%s", err.text);
	free(bytes);
}

/* A file that no manifest names is no part of an image, also when it comes later. */
Test(disks, an_image_knows_its_files)
{
	cr_expect(eq(int, image_check_files(&img, &err), 0), "%s", err.text);
	bytes_write(scratch_path(dir, "image/disk0.bin"), "x", 1);
	cr_expect(eq(int, image_check_files(&img, &err), 0), "%s", err.text);
	bytes_write(scratch_path(dir, "image/disk1.bin"), "x", 1);
	cr_expect(eq(int, image_check_files(&img, &err), -ESTALE));
	cr_expect(ne(ptr, strstr(err.text, "disk1.bin is changed since"), NULL), "%s",
		  err.text);
}
