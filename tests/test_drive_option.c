/* SPDX-License-Identifier: Apache-2.0 */
/* test_drive_option.c - what --drive takes, and where the name of a file ends. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util.h"
#include "tools/thaw/drive_option.h"

#define BOOT  DRIVE_TO_BOOT
#define START DRIVE_TO_START
#define EACH_S(n, once)                                                                        \
	{                                                                                      \
		.size = (n), .burst = (once), .refill_ms = 1000                                \
	}

static const struct cmd cmd = { .name = "test" };

TestSuite(drive_option, .timeout = 20);

/* clang-format off */
static const struct {
	enum drive_use which;
	const char *value, *id, *path, *serial;
	enum drive_mode mode; /* DRIVE_OVERLAY where nothing is said */
	struct rate_limit bytes, ops;
} rows[] = {
	{ BOOT, "a=f", "a", "f", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a-B_9=/x/y=z", "a-B_9", "/x/y=z", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,ro", "a", "f", NULL, DRIVE_RO, { 0 }, { 0 } },
	{ BOOT, "a=f,rw", "a", "f", NULL, DRIVE_RW, { 0 }, { 0 } },
	{ BOOT, "a=f,serial=no 1", "a", "f", "no 1", DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,serial=12345678901234567890", "a", "f", "12345678901234567890",
	  DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,bytes=4M", "a", "f", NULL, DRIVE_OVERLAY, EACH_S(4 << 20, 0), { 0 } },
	{ BOOT, "a=f,bytes=4M+1K", "a", "f", NULL, DRIVE_OVERLAY, EACH_S(4 << 20, 1024), { 0 } },
	{ BOOT, "a=f,ops=7+9", "a", "f", NULL, DRIVE_OVERLAY, { 0 }, EACH_S(7, 9) },
	{ BOOT, "a=f,ops=9223372036854775807", "a", "f", NULL, DRIVE_OVERLAY, { 0 },
	  EACH_S(INT64_MAX, 0) },
	{ BOOT, "a=f,bytes=1,ops=2,serial=s,ro", "a", "f", "s", DRIVE_RO, EACH_S(1, 0),
	  EACH_S(2, 0) },
	{ BOOT, "a=f,ro,serial=s,ops=2,bytes=1", "a", "f", "s", DRIVE_RO, EACH_S(1, 0),
	  EACH_S(2, 0) },
	/* names with commas */
	{ BOOT, "a=f,g", "a", "f,g", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,g,ro", "a", "f,g", NULL, DRIVE_RO, { 0 }, { 0 } },
	{ BOOT, "a=f,ro,overlay", "a", "f,ro", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,ops=1,ops=2", "a", "f,ops=1", NULL, DRIVE_OVERLAY, { 0 }, EACH_S(2, 0) },
	{ BOOT, "a=f,x=y", "a", "f,x=y", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,ops=1,x=y", "a", "f,ops=1,x=y", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,ops", "a", "f,ops", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ BOOT, "a=f,", "a", "f,", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	/* of a start */
	{ START, "a=f", "a", "f", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ START, "a=f,bytes=1G,ops=3", "a", "f", NULL, DRIVE_OVERLAY, EACH_S(1 << 30, 0),
	  EACH_S(3, 0) },
	{ START, "a=,ops=3", "a", "", NULL, DRIVE_OVERLAY, { 0 }, EACH_S(3, 0) },
	{ START, "a=,bytes=0", "a", "", NULL, DRIVE_OVERLAY, EACH_S(0, 0), { 0 } },
	{ START, "a=f,ro", "a", "f,ro", NULL, DRIVE_OVERLAY, { 0 }, { 0 } },
	{ START, "a=f,serial=s,ops=3", "a", "f,serial=s", NULL, DRIVE_OVERLAY, { 0 }, EACH_S(3, 0) },
};

static const struct {
	enum drive_use which;
	const char *value;
} refused[] = {
	{ BOOT, "" }, { BOOT, "f" }, { BOOT, "=f" }, { BOOT, "a=" }, { BOOT, "a b=f" },
	{ BOOT, "a234567890123456789012345678901_=f" },
	{ BOOT, "a=,ro" }, { BOOT, "a=,ops=1" }, { START, "a=" }, { START, "a/b=f" },
	{ BOOT, "a=f,serial=" }, { BOOT, "a=f,serial=123456789012345678901" },
	{ BOOT, "a=f,serial=\n" }, { BOOT, "a=f,serial=\xc3\xa9" }, { BOOT, "a=f,serial=\x7f" },
	{ BOOT, "a=f,ops=" }, { BOOT, "a=f,ops=many" }, { BOOT, "a=f,ops=-1" },
	{ BOOT, "a=f,ops=1K" }, { BOOT, "a=f,ops=1+" }, { BOOT, "a=f,ops=+1" },
	{ BOOT, "a=f,ops=1+2+3" }, { BOOT, "a=f,ops=0+1" }, { BOOT, "a=f,bytes=0+1" },
	{ BOOT, "a=f,ops=9223372036854775808" }, { BOOT, "a=f,bytes=9223372036854775808" },
	{ BOOT, "a=f,bytes=1+9223372036854775808" }, { START, "a=,bytes=fast" },
	{ START, "a=f,ops=1.5" },
};
/* clang-format on */

static bool same_limit(const struct rate_limit *a, const struct rate_limit *b)
{
	return a->size == b->size && a->burst == b->burst && a->refill_ms == b->refill_ms;
}

Test(drive_option, what_is_behind_the_file_is_cut_from_the_end)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct drive_option d = { .spec.mode = DRIVE_OVERLAY };

		cr_assert(
			eq(int, drive_option_parse(&d, &cmd, rows[i].value, rows[i].which), 0),
			"%s", rows[i].value);
		cr_expect(eq(str, (char *)d.spec.id, (char *)rows[i].id));
		cr_expect(eq(str, (char *)d.spec.path, (char *)rows[i].path));
		cr_expect(eq(int, d.spec.serial != NULL, rows[i].serial != NULL), "%s",
			  rows[i].value);
		if (d.spec.serial && rows[i].serial)
			cr_expect(eq(str, (char *)d.spec.serial, (char *)rows[i].serial));
		cr_expect(eq(int, d.spec.mode, rows[i].mode), "%s", rows[i].value);
		cr_expect(same_limit(&d.spec.bytes, &rows[i].bytes), "%s", rows[i].value);
		cr_expect(same_limit(&d.spec.ops, &rows[i].ops), "%s", rows[i].value);
		cr_expect(eq(int, d.has_bytes, rows[i].bytes.refill_ms != 0), "%s",
			  rows[i].value);
		cr_expect(eq(int, d.has_ops, rows[i].ops.refill_ms != 0), "%s", rows[i].value);
		drive_option_free(&d);
	}
}

Test(drive_option, what_is_wrong_is_said)
{
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		struct drive_option d = { 0 };

		cr_expect(eq(int,
			     drive_option_parse(&d, &cmd, refused[i].value, refused[i].which),
			     EXIT_USAGE),
			  "%s", refused[i].value);
		drive_option_free(&d);
	}
}
