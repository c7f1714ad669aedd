/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/frames.h"
#include "snapshot/io.h"
#include "snapshot/wset.h"
#include "tests/helpers_image.h"

static struct mem mem, out;
static struct frames_info info;
static struct err err;
static uint8_t *file; /* the sample as memory.lz4, info.size bytes */

static void setup(void)
{
	int fd = bytes_memfd("", 0);

	sample_mem(&mem);
	sample_mem_empty(&out);
	cr_assert(eq(int, frames_write(fd, &mem, NULL, NULL, &info, &err), 0), "%s", err.text);
	file = malloc(info.size);
	cr_assert(eq(int, io_read(fd, file, info.size, 0, &err), 0));
	close(fd);
}

static void teardown(void)
{
	free(file);
	mem_unmap(&mem);
	mem_unmap(&out);
}

TestSuite(frames, .init = setup, .fini = teardown);

static struct frames_header *header(void)
{
	return (void *)file;
}

static struct frames_entry *table(void)
{
	return (void *)(file + 64);
}

/* Open these bytes, decode all, verify all: the first error, or 0. */
static int read_bytes(const uint8_t *buf, size_t len, const struct digest *expected)
{
	int fd = bytes_memfd(buf, len);
	struct frames f;
	int ret = frames_open(&f, fd, &mem, expected, &err);

	if (ret == 0) {
		ret = frames_decode_all(&f, &out, &err);
		if (ret == 0)
			ret = frames_verify(&f, NULL, &err);
		frames_close(&f);
	}
	close(fd);
	return ret;
}

static int read_sealed(void)
{
	header()->crc32c = frames_header_crc(header());
	return read_bytes(file, info.size, NULL);
}

Test(frames, what_was_written_is_read)
{
	cr_assert(eq(int, read_bytes(file, info.size, &info.table), 0), "%s", err.text);
	cr_assert(sample_mem_equal(&mem, &out));
	cr_assert(eq(u64, info.npages, SAMPLE_PAGES));
	cr_assert(lt(u64, info.size, SAMPLE_PAGES * 4096 / 2));
}

Test(frames, the_table_is_the_documented_one)
{
	/* page 0; 10..15, 16..31, 32..43 of one run; 100..102; one alone; the very last */
	static const struct {
		uint64_t gpa;
		uint32_t pages, raw;
	} expected[] = { { 0, 1, 0 },	     { 0xa000, 6, 0 },	{ 0x10000, 16, 0 },
			 { 0x20000, 12, 0 }, { 0x64000, 3, 1 }, { 0x811000, 1, 1 },
			 { 0x9ff000, 1, 0 } };
	uint64_t off = 64 + 64 * ARRAY_SIZE(expected);

	cr_assert(eq(int, memcmp(file, "THAWMEMZ\1\0\0\0\0\x10\0\0", 16), 0));
	cr_assert(eq(u64, header()->nframes, ARRAY_SIZE(expected)));
	cr_assert(eq(u64, header()->npages, SAMPLE_PAGES));
	cr_assert(eq(u64, header()->data_offset, off));
	cr_assert(eq(u64, header()->ram_size, 0x400000));
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		const struct frames_entry *e = &table()[i];

		cr_expect(eq(u64, e->gpa, expected[i].gpa), "frame %zu", i);
		cr_expect(eq(u32, e->pages, expected[i].pages), "frame %zu", i);
		cr_expect(eq(u32, e->flags, expected[i].raw), "frame %zu", i);
		cr_expect(eq(u64, e->offset, off), "frame %zu", i);
		off += e->stored;
	}
	cr_assert(eq(u64, off, info.size));
}

Test(frames, memory_without_content_is_a_header)
{
	int fd = bytes_memfd("", 0);
	struct frames f;

	cr_assert(eq(int, frames_write(fd, &out, NULL, NULL, &info, &err), 0));
	cr_assert(eq(u64, info.size, 64));
	cr_assert(eq(int, frames_open(&f, fd, &out, &info.table, &err), 0), "%s", err.text);
	cr_assert(eq(int, frames_decode_all(&f, &out, &err), 0));
	cr_assert(eq(int, frames_verify(&f, NULL, &err), 0));
	frames_close(&f);
	close(fd);
}

Test(frames, frames_can_be_had_one_by_one_in_any_order)
{
	int fd = bytes_memfd(file, info.size);
	uint8_t *scratch = malloc(FRAMES_MAX_SIZE);
	struct frames f;

	cr_assert(eq(int, frames_open(&f, fd, &mem, NULL, &err), 0));
	for (uint64_t i = f.header.nframes; i-- > 0;)
		cr_assert(eq(int, frames_decode(&f, i, scratch, &out, &err), 0));
	cr_assert(sample_mem_equal(&mem, &out));
	free(scratch);
	frames_close(&f);
	close(fd);
}

/* ---- a working set ---- */

/* Write the sample with this working set, open it, check that it is the same memory. */
static void write_with(struct frames *f, struct wset_run *runs, uint32_t nruns)
{
	struct wset wset = { .record_runs = 1, .nruns = nruns, .runs = runs };
	int fd = bytes_memfd("", 0);

	cr_assert(eq(int, frames_write(fd, &mem, &wset, NULL, &info, &err), 0));
	cr_assert(eq(int, frames_open(f, fd, &mem, &info.table, &err), 0), "%s", err.text);
	cr_assert(eq(int, frames_decode_all(f, &out, &err), 0), "%s", err.text);
	cr_assert(eq(int, frames_verify(f, NULL, &err), 0), "%s", err.text);
	cr_assert(sample_mem_equal(&mem, &out));
	cr_assert(eq(u64, f->header.npages, SAMPLE_PAGES));
}

static void expect_order(const struct frames *f, const struct frames_entry *expected, size_t n)
{
	uint64_t off = f->header.data_offset;

	cr_assert(eq(sz, f->header.nframes, n));
	for (size_t i = 0; i < n; i++) {
		const struct frames_entry *e = &f->table[f->order[i]];

		cr_expect(eq(u64, e->gpa, expected[i].gpa), "place %zu", i);
		cr_expect(eq(u32, e->pages, expected[i].pages), "place %zu", i);
		cr_expect(eq(u64, e->offset, off), "place %zu", i);
		off += e->stored;
	}
	for (size_t i = 1; i < n; i++)
		cr_expect(lt(u64, f->table[i - 1].gpa, f->table[i].gpa));
	cr_assert(eq(u64, off, info.size));
}

Test(frames, the_working_set_is_stored_first_by_groups_of_2_mib)
{
	/* The high 2 MiB is touched first, so all of it that is hot comes before the low one. */
	struct wset_run runs[] = { { .gpa = 0x9ff000, .pages = 1 },
				   { .gpa = 0x14000, .pages = 2 },
				   { .gpa = 0x811000, .pages = 1 },
				   { .gpa = 0x50000, .pages = 1 }, /* zero: not stored */
				   { .gpa = 0xb000, .pages = 1 },
				   { .gpa = 0x13000, .pages = 1 } };
	static const struct frames_entry expected[] = {
		{ .gpa = 0x9ff000, .pages = 1 },
		{ .gpa = 0x811000, .pages = 1 },
		/* 0x13000 lies before 0x14000 in memory: one frame, as early as its first page */
		{ .gpa = 0x13000, .pages = 3 },
		{ .gpa = 0xb000, .pages = 1 },
		/* the rest by address, without them */
		{ .gpa = 0, .pages = 1 },
		{ .gpa = 0xa000, .pages = 1 },
		{ .gpa = 0xc000, .pages = 4 },
		{ .gpa = 0x10000, .pages = 3 },
		{ .gpa = 0x16000, .pages = 10 },
		{ .gpa = 0x20000, .pages = 12 },
		{ .gpa = 0x64000, .pages = 3 },
	};
	struct frames f;

	write_with(&f, runs, ARRAY_SIZE(runs));
	expect_order(&f, expected, ARRAY_SIZE(expected));
	close(f.fd);
	frames_close(&f);
}

Test(frames, a_working_set_of_everything_or_of_zeros_changes_no_frame)
{
	struct wset_run all[] = { { .gpa = 0, .pages = 512 },
				  { .gpa = 0x800000, .pages = 512 } };
	struct wset_run zeros[] = { { .gpa = 0x30000, .pages = 4 } };
	struct frames f;

	write_with(&f, all, 2);
	cr_assert(eq(u64, f.header.nframes, 7));
	close(f.fd);
	frames_close(&f);
	write_with(&f, zeros, 1);
	cr_assert(eq(u64, f.header.nframes, 7));
	for (uint64_t i = 0; i < 7; i++)
		cr_expect(eq(u64, f.order[i], i));
	close(f.fd);
	frames_close(&f);
}

/* Enough for several large reads, whose ends fall inside frames. */
Test(frames, large_memory_is_read_in_pieces)
{
	int fd = bytes_memfd("", 0);
	struct mem big = { .nregions = 1, .regions = { { .gpa = 0, .size = 6u << 20 } } };
	struct mem copy = big;
	struct frames f;

	cr_assert(eq(int, mem_map(&big, &err), 0));
	cr_assert(eq(int, mem_map(&copy, &err), 0));
	for (size_t i = 0; i < big.regions[0].size; i++)
		big.regions[0].host[i] = (uint8_t)(i * i >> 7 ^ i / 4096);
	for (size_t page = 0; page < 1536; page += 2)
		memcpy(big.regions[0].host + page * 4096,
		       mem.regions[0].host + (100 + page % 3) * 4096, 4096);
	cr_assert(eq(int, frames_write(fd, &big, NULL, NULL, &info, &err), 0));
	cr_assert(gt(u64, info.size, 3u << 20));
	cr_assert(eq(int, frames_open(&f, fd, &big, &info.table, &err), 0));
	cr_assert(eq(int, frames_decode_all(&f, &copy, &err), 0));
	cr_assert(sample_mem_equal(&big, &copy));
	cr_assert(eq(int, frames_verify(&f, NULL, &err), 0));
	frames_close(&f);
	close(fd);
	mem_unmap(&big);
	mem_unmap(&copy);
}

Test(frames, every_shorter_or_longer_file_is_damaged)
{
	uint8_t *longer = calloc(1, info.size + 1);
	size_t step = 1;

	/* Every length up to the data, then around frames. */
	for (size_t len = 0; len < info.size; len += step) {
		cr_expect(eq(int, read_bytes(file, len, NULL), -ERR_DAMAGED), "%zu", len);
		step = len < header()->data_offset + 100 ? 1 : 61;
	}
	memcpy(longer, file, info.size);
	cr_expect(eq(int, read_bytes(longer, info.size + 1, NULL), -ERR_DAMAGED));
	free(longer);
}

Test(frames, every_flipped_byte_is_damaged)
{
	for (size_t i = 0; i < info.size; i++) {
		file[i] ^= (uint8_t)(1u << i % 8);
		/* Only the manifest's digest tells of a frame that moved to a free place. */
		cr_expect(eq(int, read_bytes(file, info.size, &info.table), -ERR_DAMAGED),
			  "byte %zu", i);
		file[i] ^= (uint8_t)(1u << i % 8);
		if (i > header()->data_offset + 2000)
			i += 16; /* inside random pages that are stored as they are */
	}
	cr_assert(eq(int, read_bytes(file, info.size, &info.table), 0));
}

Test(frames, a_table_the_manifest_does_not_name_is_not_looked_at)
{
	table()[0].sha256.bytes[0] ^= 1;
	cr_assert(eq(int, read_bytes(file, info.size, &info.table), -ERR_DAMAGED));
	cr_assert(eq(int, strncmp(err.text, "header and table: sha256 is ", 28), 0), "%s",
		  err.text);
}

Test(frames, an_intact_file_of_another_version_reports_it)
{
	header()->version = 2;
	header()->nframes = ~0ull;
	cr_assert(eq(int, read_sealed(), -ERR_UNFIT));
	cr_assert(eq(str, err.text, "format version 2, this thaw reads 1"));
}

Test(frames, a_bad_frame_is_named_with_its_place)
{
	char expected[100];

	file[table()[2].offset] ^= 0x10;
	cr_assert(eq(int, read_bytes(file, info.size, &info.table), -ERR_DAMAGED));
	snprintf(expected, sizeof(expected), "frame 2 at offset %ju: crc32c is 0x",
		 (uintmax_t)table()[2].offset);
	cr_assert(eq(int, strncmp(err.text, expected, strlen(expected)), 0), "%s", err.text);
}

Test(frames, memory_that_lacks_a_region_is_refused)
{
	int fd = bytes_memfd(file, info.size);
	struct frames f;

	cr_assert(eq(int, frames_open(&f, fd, &mem, NULL, &err), 0));
	out.nregions = 1;
	cr_assert(eq(int, frames_decode_all(&f, &out, &err), -ERANGE));
	out.nregions = 2;
	frames_close(&f);
	close(fd);
}

/* Lies of someone who knows how to make a CRC: one field of header or table each. */
struct lie {
	const char *why;
	size_t off;
	uint64_t value;
	size_t size;
};

#define ENTRY(i, m) 64 + 64 * (i) + offsetof(struct frames_entry, m)
#define HEADER(m)   offsetof(struct frames_header, m)

/* clang-format off */
static const struct lie lies[] = {
	{ "page size",                    HEADER(page_size),    8192, 4 },
	{ "ram size of another machine",  HEADER(ram_size),     0x200000, 8 },
	{ "one frame less",               HEADER(nframes),      6, 8 },
	{ "one frame more",               HEADER(nframes),      8, 8 },
	{ "frames without end",           HEADER(nframes),      ~0ull, 8 },
	{ "frames that wrap to none",     HEADER(nframes),      1ull << 58, 8 },
	{ "pages",                        HEADER(npages),       41, 8 },
	{ "table offset",                 HEADER(table_offset), 128, 8 },
	{ "data offset",                  HEADER(data_offset),  448, 8 },
	{ "reserved",                     HEADER(reserved),     1, 4 },
	{ "no pages",                     ENTRY(1, pages),      0, 4 },
	{ "too many pages",               ENTRY(1, pages),      17, 4 },
	{ "pages without end",            ENTRY(1, pages),      ~0u, 4 },
	{ "over a 64 KiB boundary",       ENTRY(1, pages),      7, 4 },
	{ "one page less",                ENTRY(1, pages),      5, 4 },
	{ "not page aligned",             ENTRY(0, gpa),        1, 8 },
	{ "in the hole",                  ENTRY(5, gpa),        0x211000, 8 },
	{ "behind the end",               ENTRY(6, gpa),        0xa00000, 8 },
	{ "at the end of addresses",      ENTRY(6, gpa),        ~0ull << 12, 8 },
	{ "before the one before",        ENTRY(5, gpa),        0x1000, 8 },
	{ "the same as the one before",   ENTRY(6, gpa),        0x811000, 8 },
	{ "offset in the table",          ENTRY(3, offset),     64, 8 },
	{ "offset behind the file",       ENTRY(3, offset),     1ull << 40, 8 },
	{ "offset that wraps",            ENTRY(3, offset),     ~0ull, 8 },
	{ "nothing stored",               ENTRY(3, stored),     0, 4 },
	{ "more stored than pages",       ENTRY(3, stored),     ~0u, 4 },
	{ "raw, but one byte less",       ENTRY(4, stored),     12287, 4 },
	{ "unknown flag",                 ENTRY(4, flags),      3, 4 },
	{ "raw called compressed",        ENTRY(4, flags),      0, 4 },
	{ "compressed called raw",        ENTRY(3, flags),      1, 4 },
	{ "crc",                          ENTRY(3, crc32c),     0, 4 },
	{ "sha256",                       ENTRY(3, sha256),     0, 8 },
};
/* clang-format on */

Test(frames, lies_in_header_and_table_are_damage)
{
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		uint8_t *was = malloc(info.size);

		memcpy(was, file, info.size);
		memcpy(file + lies[i].off, &lies[i].value, lies[i].size);
		cr_expect(eq(int, read_sealed(), -ERR_DAMAGED), "%s", lies[i].why);
		memcpy(file, was, info.size);
		free(was);
	}
	cr_assert(eq(int, read_sealed(), 0));
}

/* LZ4 data that are intact by their CRC, but are not the pages' bytes. */
Test(frames, lz4_data_of_another_length_are_damage)
{
	struct frames_entry *e = &table()[0];

	memset(file + e->offset, 0xff, e->stored);
	e->crc32c = digest_crc32c(0, file + e->offset, e->stored);
	cr_expect(eq(int, read_sealed(), -ERR_DAMAGED));
	memset(file + e->offset, 0, e->stored);
	e->crc32c = digest_crc32c(0, file + e->offset, e->stored);
	cr_expect(eq(int, read_sealed(), -ERR_DAMAGED));
}

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
	uint64_t *last = arg;

	cr_assert(gt(u64, done, *last));
	cr_assert(eq(u64, total, SAMPLE_PAGES * 4096));
	*last = done;
}

Test(frames, progress_rises_to_its_total)
{
	uint64_t last = 0;
	struct io_progress progress = { .step = note_progress, .arg = &last };
	int fd = bytes_memfd("", 0);
	struct frames f;

	cr_assert(eq(int, frames_write(fd, &mem, NULL, &progress, &info, &err), 0));
	cr_assert(eq(u64, last, SAMPLE_PAGES * 4096));
	last = 0;
	cr_assert(eq(int, frames_open(&f, fd, &mem, NULL, &err), 0));
	cr_assert(eq(int, frames_verify(&f, &progress, &err), 0));
	cr_assert(eq(u64, last, SAMPLE_PAGES * 4096));
	frames_close(&f);
	close(fd);
}
