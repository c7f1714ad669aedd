/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "devices/drive.h"
#include "engine/err.h"
#include "tests/helpers_image.h"

static char scratch[256];
static struct err err;

static void setup(void)
{
	scratch_make(scratch);
	bytes_write(scratch_path(scratch, "disk"), NULL, 0);
	cr_assert(eq(int, truncate(scratch_path(scratch, "disk"), 3 << 20), 0));
}

static void teardown(void)
{
	scratch_remove(scratch);
}

TestSuite(drive, .init = setup, .fini = teardown, .timeout = 60);

static int open_disk(struct drive *d, enum drive_mode mode)
{
	return drive_open(d, scratch_path(scratch, "disk"), mode, &err);
}

Test(drive, has_the_size_of_its_file)
{
	for (int mode = DRIVE_RO; mode <= DRIVE_OVERLAY; mode++) {
		struct drive d;

		cr_assert(eq(int, open_disk(&d, mode), 0), "%s", err.text);
		cr_expect(eq(u64, d.size, 3 << 20));
		drive_close(&d);
		cr_expect(eq(int, d.fd, -1));
	}
}

struct pair {
	enum drive_mode first, second;
	int ret;
};

ParameterizedTestParameters(drive, who_writes_is_alone)
{
	static struct pair pairs[] = {
		{ DRIVE_RO, DRIVE_RO, 0 },	     { DRIVE_RO, DRIVE_OVERLAY, 0 },
		{ DRIVE_OVERLAY, DRIVE_OVERLAY, 0 }, { DRIVE_RW, DRIVE_RW, -EBUSY },
		{ DRIVE_RW, DRIVE_RO, -EBUSY },	     { DRIVE_RW, DRIVE_OVERLAY, -EBUSY },
		{ DRIVE_RO, DRIVE_RW, -EBUSY },	     { DRIVE_OVERLAY, DRIVE_RW, -EBUSY },
	};

	return cr_make_param_array(struct pair, pairs, sizeof(pairs) / sizeof(pairs[0]));
}

ParameterizedTest(struct pair *p, drive, who_writes_is_alone, .init = setup, .fini = teardown)
{
	struct drive a, b;

	cr_assert(eq(int, open_disk(&a, p->first), 0), "%s", err.text);
	cr_expect(eq(int, open_disk(&b, p->second), p->ret), "%s", err.text);
	if (p->ret < 0)
		cr_expect(ne(ptr, strstr(err.text, "is in use"), NULL), "%s", err.text);
	drive_close(&b);
	drive_close(&a);
	cr_expect(eq(int, open_disk(&b, p->second), 0), "the lock goes with the descriptor: %s",
		  err.text);
	drive_close(&b);
}

static void expect_refused(const char *name, int ret, const char *why)
{
	struct drive d;

	cr_expect(eq(int, drive_open(&d, scratch_path(scratch, name), DRIVE_RO, &err), ret));
	cr_expect(ne(ptr, strstr(err.text, why), NULL), "%s: %s", name, err.text);
	cr_expect(eq(int, d.fd, -1));
}

Test(drive, is_whole_sectors_of_a_file)
{
	bytes_write(scratch_path(scratch, "odd"), "half a sector", 13);
	bytes_write(scratch_path(scratch, "empty"), NULL, 0);
	cr_assert(eq(int, mkfifo(scratch_path(scratch, "fifo"), 0600), 0));
	expect_refused("odd", -EINVAL, "has 13 bytes, not whole sectors");
	expect_refused("empty", -EINVAL, "has 0 bytes");
	expect_refused("fifo", -EINVAL, "neither a file nor a block device");
	expect_refused(".", -EINVAL, "neither a file nor a block device");
	expect_refused("none", -ENOENT, "open drive");
}

struct access {
	int flags;
	enum drive_mode mode;
	int ret;
};

ParameterizedTestParameters(drive, a_descriptor_has_to_allow_what_the_mode_does_and_no_more)
{
	static struct access rows[] = {
		{ O_RDONLY, DRIVE_RO, 0 },
		{ O_RDONLY, DRIVE_OVERLAY, 0 },
		{ O_RDONLY, DRIVE_RW, -EACCES },
		{ O_WRONLY, DRIVE_RW, -EACCES },
		{ O_RDWR, DRIVE_RW, 0 },
		{ O_RDWR | O_APPEND, DRIVE_RW, -EACCES },
		{ O_PATH, DRIVE_RO, -EACCES },
		{ O_RDWR, DRIVE_RO, -EACCES },
		{ O_RDWR, DRIVE_OVERLAY, -EACCES },
	};

	return cr_make_param_array(struct access, rows, sizeof(rows) / sizeof(rows[0]));
}

ParameterizedTest(struct access *a, drive,
		  a_descriptor_has_to_allow_what_the_mode_does_and_no_more, .init = setup,
		  .fini = teardown)
{
	int fd = open(scratch_path(scratch, "disk"), a->flags | O_CLOEXEC);
	struct drive d;

	cr_assert(ge(int, fd, 0));
	cr_expect(eq(int, drive_adopt(&d, fd, a->mode, &err), a->ret), "%s", err.text);
	drive_close(&d);
	cr_expect(eq(int, fcntl(fd, F_GETFD), -1), "it is closed either way");
}
