/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "snapshot/wset.h"

#define PAGE 4096ull

/* Two regions of 2 MiB, the second right behind the first, and one far away. */
static const struct mem ram = { .nregions = 3,
				.regions = { { .gpa = 0, .size = MEM_HUGE_SIZE },
					     { .gpa = 0x200000, .size = MEM_HUGE_SIZE },
					     { .gpa = 0x800000, .size = MEM_HUGE_SIZE } } };

static struct err err;
static struct wset wset;
static uint8_t *file;
static size_t len;

/* Three record runs over both regions. */
static struct wset_run sample_runs[] = { { 0x5000, 3, 3, WSET_DIRTIED },
					 { 0x800000, 512, 1, 0 },
					 { 0x4000, 1, 3, 0 },
					 { 0, 1, 2, WSET_DIRTIED } };
static const struct wset sample = { .record_runs = 3,
				    .nruns = ARRAY_SIZE(sample_runs),
				    .runs = sample_runs };

static void setup(void)
{
	void *buf;

	cr_assert(eq(int, wset_encode(&sample, &ram, &buf, &len, &err), 0), "%s", err.text);
	file = buf;
}

static void teardown(void)
{
	free(file);
}

TestSuite(wset, .init = setup, .fini = teardown);

static struct wset_header *header(void)
{
	return (void *)file;
}

static struct wset_run *run(uint32_t i)
{
	return (struct wset_run *)(void *)(header() + 1) + i;
}

/* From a buffer that ends where the bytes do, so that ASan sees a read beyond. */
static int parse(size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);
	int ret;

	memcpy(exact, file, n);
	ret = wset_parse(&wset, exact, n, &ram, &err);
	free(exact);
	if (ret < 0)
		cr_expect(wset.runs == NULL && wset.nruns == 0 && wset.record_runs == 0);
	return ret;
}

/* What an enemy writes has the right checksums. */
static int parse_sealed(void)
{
	if (len >= sizeof(struct wset_header)) {
		header()->runs_crc32c =
			digest_crc32c(0, run(0), len - sizeof(struct wset_header));
		header()->crc32c = wset_header_crc(header());
	}
	return parse(len);
}

static void refused(int code, const char *says)
{
	cr_expect(eq(int, parse_sealed(), code), "%s", says);
	cr_expect(eq(str, err.text, (char *)(uintptr_t)says));
	teardown();
	setup();
}

Test(wset, what_was_written_is_read)
{
	cr_assert(eq(int, parse(len), 0), "%s", err.text);
	cr_assert(eq(u32, wset.record_runs, 3));
	cr_assert(eq(u32, wset.nruns, 4));
	cr_assert(eq(int, memcmp(wset.runs, sample_runs, sizeof(sample_runs)), 0));
	wset_fini(&wset);
	cr_assert(eq(ptr, wset.runs, NULL));
}

Test(wset, the_bytes_are_the_documented_ones)
{
	static const uint8_t first[32] = "THAWWSET\1\0\0\0\4\0\0\0\0\0\x60\0\0\0\0\0\3\0\0\0";
	static const uint8_t second_run[16] = "\0\0\x80\0\0\0\0\0\0\2\0\0\1\0\0";

	cr_assert(eq(sz, len, 64 + 4 * 16));
	cr_assert(eq(int, memcmp(file, first, 28), 0));
	cr_assert(eq(int, memcmp(file + 64 + 16, second_run, 16), 0));
	cr_assert(eq(u32, header()->runs_crc32c, digest_crc32c(0, file + 64, 64)));
	for (size_t i = 32; i < 60; i++)
		cr_assert(eq(u8, file[i], 0));
}

Test(wset, every_flipped_bit_is_damaged)
{
	for (size_t bit = 0; bit < 8 * len; bit++) {
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(eq(int, parse(len), -ERR_DAMAGED), "bit %zu", bit);
		file[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert(eq(int, parse(len), 0));
	wset_fini(&wset);
}

Test(wset, every_other_length_is_damaged)
{
	for (size_t n = 0; n < len; n++)
		cr_expect(eq(int, parse(n), -ERR_DAMAGED), "%zu", n);
	file = realloc(file, len + 16);
	memset(file + len, 0, 16);
	cr_expect(eq(int, parse(len + 16), -ERR_DAMAGED));
	cr_expect(eq(str, err.text, "144 bytes, expected 128 for a header and 4 runs"));
}

Test(wset, lies_in_the_header_are_refused)
{
	header()->magic[7] = 'U';
	refused(-ERR_DAMAGED, "offset 0: magic is not THAWWSET");
	header()->version = 2;
	refused(-ERR_UNFIT, "format version 2, this thaw reads 1");
	header()->ram_size = 1;
	refused(-ERR_DAMAGED, "ram size is 1, the machine has 6291456");
	header()->record_runs = 0;
	refused(-ERR_DAMAGED, "0 record runs, expected 1..65535");
	header()->record_runs = 65536;
	refused(-ERR_DAMAGED, "65536 record runs, expected 1..65535");
	header()->nruns = 0;
	refused(-ERR_DAMAGED, "0 runs of pages, expected 1..1048576");
	header()->nruns = 1048577;
	refused(-ERR_DAMAGED, "1048577 runs of pages, expected 1..1048576");
	header()->nruns = 1048576;
	refused(-ERR_DAMAGED, "128 bytes, expected 16777280 for a header and 1048576 runs");
	header()->nruns = 3;
	refused(-ERR_DAMAGED, "128 bytes, expected 112 for a header and 3 runs");
	header()->reserved[27] = 1;
	refused(-ERR_DAMAGED, "reserved bytes at offset 32: expected zeros");
}

Test(wset, another_version_is_told_only_when_the_header_is_intact)
{
	header()->version = 2;
	cr_assert(eq(int, parse(len), -ERR_DAMAGED));
}

Test(wset, lies_in_a_run_are_refused)
{
	run(2)->gpa = 0x4001;
	refused(-ERR_DAMAGED, "run 2 at guest address 0x4001: 1 pages are not whole pages of "
			      "the machine's memory");
	run(2)->pages = 0;
	refused(-ERR_DAMAGED, "run 2 at guest address 0x4000: 0 pages are not whole pages of "
			      "the machine's memory");
	run(1)->pages = 513;
	refused(-ERR_DAMAGED, "run 1 at guest address 0x800000: 513 pages are not whole pages "
			      "of the machine's memory");
	run(1)->pages = UINT32_MAX;
	refused(-ERR_DAMAGED, "run 1 at guest address 0x800000: 4294967295 pages are not whole "
			      "pages of the machine's memory");
	run(1)->gpa = 0xfffffffffffff000;
	refused(-ERR_DAMAGED, "run 1 at guest address 0xfffffffffffff000: 512 pages are not "
			      "whole pages of the machine's memory");
	run(0)->gpa = 0x1ff000; /* over the end of one region into the next */
	refused(-ERR_DAMAGED, "run 0 at guest address 0x1ff000: 3 pages are not whole pages of "
			      "the machine's memory");
	run(3)->seen = 0;
	refused(-ERR_DAMAGED,
		"run 3 at guest address 0x0: seen in 0 record runs, expected 1..3");
	run(3)->seen = 4;
	refused(-ERR_DAMAGED,
		"run 3 at guest address 0x0: seen in 4 record runs, expected 1..3");
	run(0)->flags = 2;
	refused(-ERR_DAMAGED, "run 0 at guest address 0x5000: unknown flags 0x2");
}

Test(wset, a_page_in_two_runs_is_refused)
{
	run(2)->pages = 2; /* 0x4000, and 0x5000 of the first */
	refused(-ERR_DAMAGED, "the page at guest address 0x5000 is in two runs");
	run(3)->gpa = 0x7000; /* inside of the first */
	refused(-ERR_DAMAGED, "the page at guest address 0x7000 is in two runs");
	*run(3) = *run(0);
	refused(-ERR_DAMAGED, "the page at guest address 0x5000 is in two runs");
}

Test(wset, too_many_runs_are_not_written)
{
	struct wset many = { .record_runs = 1, .nruns = WSET_MAX_RUNS + 1 };
	void *buf;

	cr_assert(eq(int, wset_encode(&many, &ram, &buf, &len, &err), -EFBIG));
	cr_assert(eq(str, err.text, "working set of 1048577 runs, largest allowed is 1048576"));
}

Test(wset, pages_are_counted)
{
	struct wset_counts n = wset_count(&sample);

	cr_assert(eq(u64, n.touched, 517));
	cr_assert(eq(u64, n.always, 4));
	cr_assert(eq(u64, n.dirtied, 4));
	cr_assert(eq(u64, wset_count(&(struct wset){ 0 }).touched, 0));
}

/* ---- the builder ---- */

static struct wset_builder builder;

static void begin(void)
{
	cr_assert(eq(int, wset_builder_begin(&builder, &err), 0));
}

static void touch(gpa_t gpa, uint16_t flags)
{
	cr_assert(eq(int, wset_builder_touch(&builder, gpa, flags, &err), 0), "%s", err.text);
}

static void expect_built(const struct wset_run *expected, uint32_t n)
{
	cr_assert(eq(int, wset_builder_finish(&builder, &wset, &err), 0));
	cr_assert(eq(u32, wset.nruns, n));
	for (uint32_t i = 0; i < n; i++) {
		cr_expect(eq(u64, wset.runs[i].gpa, expected[i].gpa), "run %u", i);
		cr_expect(eq(u32, wset.runs[i].pages, expected[i].pages), "run %u", i);
		cr_expect(eq(u16, wset.runs[i].seen, expected[i].seen), "run %u", i);
		cr_expect(eq(u16, wset.runs[i].flags, expected[i].flags), "run %u", i);
	}
	wset_fini(&wset);
	wset_builder_fini(&builder);
}

Test(wset, one_run_keeps_the_order_of_touches)
{
	static const struct wset_run expected[] = {
		{ 0x9000, 1, 1, 0 }, { 0x3000, 2, 1, 0 },   { 0x5000, 1, 1, WSET_DIRTIED },
		{ 0x2000, 1, 1, 0 }, { 0x1ff000, 1, 1, 0 }, { 0x200000, 1, 1, 0 }
	};

	cr_assert(eq(int, wset_builder_init(&builder, &ram, &err), 0));
	begin();
	touch(0x9fff, 0);
	touch(0x3000, 0);
	touch(0x4000, 0);
	touch(0x5000, 0);
	touch(0x3123, 0); /* again: nothing new */
	touch(0x5fff, WSET_DIRTIED);
	touch(0x5000, 0); /* stays dirtied */
	touch(0x2000, 0);
	touch(0x1ff000, 0);
	touch(0x200000, 0); /* the next page, and another region */
	expect_built(expected, ARRAY_SIZE(expected));
}

Test(wset, runs_are_merged_and_pages_counted_once_in_each)
{
	static const struct wset_run expected[] = { { 0x1000, 1, 3, 0 },
						    { 0x2000, 1, 2, WSET_DIRTIED },
						    { 0x3000, 1, 3, 0 },
						    { 0x8000, 1, 1, WSET_DIRTIED },
						    { 0x9000, 1, 1, 0 } };

	cr_assert(eq(int, wset_builder_init(&builder, &ram, &err), 0));
	begin();
	touch(0x1000, 0);
	touch(0x2000, 0);
	touch(0x3000, 0);
	begin();
	touch(0x3000, 0);
	touch(0x8000, 0);
	touch(0x8000, WSET_DIRTIED);
	touch(0x1000, 0);
	touch(0x1000, 0);
	begin();
	touch(0x9000, 0);
	touch(0x2000, WSET_DIRTIED);
	touch(0x1000, 0);
	touch(0x3000, 0);
	expect_built(expected, ARRAY_SIZE(expected));
}

/* More than the builder has room for at first, backwards: nothing can be joined. */
Test(wset, any_number_of_pages)
{
	cr_assert(eq(int, wset_builder_init(&builder, &ram, &err), 0));
	begin();
	for (uint64_t page = 512 * 2; page-- > 0;)
		touch(page * PAGE, 0);
	for (uint64_t page = 512; page-- > 0;)
		touch(0x800000 + page * PAGE, 0);
	cr_assert(eq(int, wset_builder_finish(&builder, &wset, &err), 0));
	cr_assert(eq(u32, wset.nruns, 3 * 512));
	cr_assert(eq(u64, wset_count(&wset).always, 3 * 512));
	wset_fini(&wset);
	wset_builder_fini(&builder);
}

Test(wset, the_builder_refuses_what_it_cannot_note)
{
	struct mem vast = { .nregions = 1, .regions = { { .gpa = 0, .size = 1ull << 44 } } };

	cr_assert(eq(int, wset_builder_init(&builder, &vast, &err), -EFBIG));
	cr_assert(eq(str, err.text, "4294967296 pages of RAM, fewer than 4294967295 expected"));
	wset_builder_fini(&builder);
	cr_assert(eq(int, wset_builder_init(&builder, &ram, &err), 0));
	begin();
	cr_assert(eq(int, wset_builder_touch(&builder, 0x400000, 0, &err), -ERANGE));
	cr_assert(eq(str, err.text, "guest address 0x400000 is not in RAM"));
	builder.record_runs = WSET_MAX_RECORD_RUNS;
	cr_assert(eq(int, wset_builder_begin(&builder, &err), -E2BIG));
	cr_assert(eq(str, err.text, "more than 65535 record runs"));
	wset_builder_fini(&builder);
}
