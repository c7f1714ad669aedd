/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/format.h"
#include "tests/helpers_image.h"

static struct state_writer w;
static struct state_file f;
static struct err err;

static void setup(void)
{
	sample_state(&w);
}

static void teardown(void)
{
	state_writer_fini(&w);
}

TestSuite(format, .init = setup, .fini = teardown);

static struct state_file_header *header(void)
{
	return (void *)w.buf;
}

/* The first section's header: "clock" at offset 64. */
static struct state_section_header *section(void)
{
	return (void *)(w.buf + 64);
}

/* Make a change that no CRC tells about. */
static void seal_header(void)
{
	header()->crc32c = 0;
	header()->crc32c = digest_crc32c(0, header(), sizeof(*header()));
}

static void seal_section(void)
{
	section()->crc32c = 0;
	section()->crc32c = digest_crc32c(0, section(), sizeof(*section()) + section()->size);
}

static int parse(void)
{
	return state_file_parse(&f, w.buf, w.len, &err);
}

Test(format, crc32c_is_the_one_of_rfc_3720)
{
	uint8_t bytes[32] = { 0 };

	cr_expect(eq(u32, digest_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa));
	memset(bytes, 0xff, sizeof(bytes));
	cr_expect(eq(u32, digest_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43));
	cr_expect(
		eq(u32, digest_crc32c(digest_crc32c(0, bytes, 7), bytes + 7, 25), 0x62a8ab43));
}

Test(format, digests_are_sha256_and_their_hex_is_strict)
{
	static const char abc[] =
		"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
	char hex[DIGEST_HEX_SIZE];
	struct digest d, again;

	cr_assert(eq(int, digest_of(&d, "abc", 3, &err), 0));
	digest_hex(&d, hex);
	cr_assert(eq(str, hex, (char *)abc));
	cr_assert(digest_parse(&again, hex) && digest_equal(&d, &again));
	hex[0] = 'B';
	cr_expect(not(digest_parse(&again, hex)));
	hex[0] = 'g';
	cr_expect(not(digest_parse(&again, hex)));
	cr_expect(not(digest_parse(&again, abc + 1)));
}

Test(format, what_was_written_is_read)
{
	struct sample_clock clock = { 0 };
	struct sample_regs regs[4] = { 0 };
	struct state_section s;

	cr_assert(eq(int, parse(), 0), "%s", err.text);
	cr_assert(eq(u32, f.nsections, 3));
	cr_assert(eq(int, state_file_load(&f, &sample_clock_desc, 0, &clock, &err), 0));
	cr_assert(eq(int, memcmp(&clock, &sample_clock, sizeof(clock)), 0));
	cr_assert(eq(int, state_file_load_array(&f, &sample_regs_desc, 0, regs, 4, &err), 2));
	cr_assert(eq(int, memcmp(regs, sample_regs, sizeof(sample_regs)), 0));
	cr_assert(eq(int, state_file_find(&f, "note", 0, &s), 1));
	cr_assert(eq(sz, s.len, 3));
	cr_assert(eq(int, memcmp(s.data, "odd", 3), 0));
	cr_assert(eq(sz, (uintptr_t)s.data % 8, 0));
	cr_assert(eq(int, state_file_find(&f, "note", 1, &s), 0));
	cr_assert(eq(int, state_file_find(&f, "not", 0, &s), 0));
}

Test(format, the_layout_is_the_documented_one)
{
	static const size_t payload[] = { 16, 32, 3 };
	struct state_section s;
	size_t off = 0, at = 64;

	cr_assert(eq(int, memcmp(w.buf, "THAWSTAT\1\0\0\0\3\0\0\0", 16), 0));
	cr_assert(eq(sz, w.len, 64 + 40 + 16 + 40 + 32 + 40 + 8));
	cr_assert(eq(int, parse(), 0));
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, state_file_next(&f, &off, &s), 1));
		cr_assert(eq(sz, s.len, payload[i]));
		cr_assert(eq(ptr, (void *)s.data, w.buf + at + 40));
		at += 40 + (payload[i] + 7) / 8 * 8;
		cr_assert(eq(sz, off, at));
	}
	cr_assert(eq(int, state_file_next(&f, &off, &s), 0));
}

Test(format, a_file_without_sections_is_a_file)
{
	state_writer_fini(&w);
	cr_assert(eq(int, state_writer_finish(&w, &err), 0));
	cr_assert(eq(sz, w.len, 64));
	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_finish(&f, &err), 0));
}

Test(format, a_required_section_nobody_asked_for_is_refused_and_an_optional_one_skipped)
{
	struct sample_clock clock;
	struct sample_regs regs[4];

	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_load(&f, &sample_clock_desc, 0, &clock, &err), 0));
	cr_assert(eq(int, state_file_finish(&f, &err), -ERR_UNFIT));
	cr_assert(eq(str, err.text,
		     "section vcpu.regs[0] is required, and this thaw does not know it"));
	cr_assert(eq(int, state_file_load_array(&f, &sample_regs_desc, 0, regs, 4, &err), 2));
	cr_assert(eq(int, state_file_finish(&f, &err), 0));
}

Test(format, a_missing_section_is_named)
{
	struct sample_clock clock;

	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_load(&f, &sample_clock_desc, 1, &clock, &err),
		     -ERR_DAMAGED));
	cr_assert(eq(str, err.text, "section clock[1] is missing"));
}

Test(format, another_section_version_is_unfit)
{
	struct state_desc newer = sample_clock_desc;
	struct sample_clock clock;

	newer.version = 2;
	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_load(&f, &newer, 0, &clock, &err), -ERR_UNFIT));
	cr_assert(eq(str, err.text, "section clock[0] has version 1, this thaw reads 2"));
}

Test(format, a_value_out_of_range_is_damage_and_nothing_is_written)
{
	struct sample_clock clock = { .ns = 5 };

	w.buf[64 + 40 + 12] = 33;
	seal_section();
	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_load(&f, &sample_clock_desc, 0, &clock, &err),
		     -ERR_DAMAGED));
	cr_assert(eq(str, err.text,
		     "section clock[0]: clock.shift is 33, largest allowed is 32"));
	cr_assert(eq(u64, clock.ns, 5));
}

Test(format, every_shorter_or_longer_file_is_damaged)
{
	uint8_t *longer = calloc(1, w.len + 8);

	for (size_t len = 0; len < w.len; len++)
		cr_expect(eq(int, state_file_parse(&f, w.buf, len, &err), -ERR_DAMAGED), "%zu",
			  len);
	memcpy(longer, w.buf, w.len);
	cr_expect(eq(int, state_file_parse(&f, longer, w.len + 8, &err), -ERR_DAMAGED));
	free(longer);
}

/* The same with a header that admits the length, so that the sections notice. */
Test(format, every_truncation_the_header_agrees_with_is_damaged)
{
	size_t full = w.len;

	for (w.len = 64; w.len < full; w.len++) {
		header()->size = w.len;
		seal_header();
		cr_expect(eq(int, parse(), -ERR_DAMAGED), "%zu", w.len);
	}
}

Test(format, every_flipped_bit_is_damaged)
{
	for (size_t bit = 0; bit < 8 * w.len; bit++) {
		w.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_expect(eq(int, parse(), -ERR_DAMAGED), "bit %zu", bit);
		w.buf[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert(eq(int, parse(), 0));
}

Test(format, an_intact_file_of_another_version_reports_it)
{
	header()->version = 7;
	header()->nsections = 0xffffffff; /* whatever that version means by it */
	seal_header();
	cr_assert(eq(int, parse(), -ERR_UNFIT));
	cr_assert(eq(str, err.text, "format version 7, this thaw reads 1"));
	cr_assert(eq(u32, f.version, 7));
}

/* Lies of someone who knows how to make a CRC. */
Test(format, lies_in_headers_are_damage)
{
	struct state_section_header was = *section();

	header()->nsections = 2;
	seal_header();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	header()->nsections = 4;
	seal_header();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	header()->nsections = STATE_FILE_MAX_SECTIONS + 1;
	seal_header();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	header()->nsections = 3;
	header()->reserved[35] = 1;
	seal_header();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	header()->reserved[35] = 0;
	seal_header();
	cr_expect(eq(int, parse(), 0));

	for (int shift = 0; shift < 64; shift++) {
		section()->size = ~0ull >> shift;
		cr_expect(eq(int, parse(), -ERR_DAMAGED));
	}
	*section() = was;
	section()->flags = 2;
	seal_section();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	*section() = was;
	memset(section()->name, 'x', sizeof(section()->name));
	seal_section();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	memset(section()->name, 0, sizeof(section()->name));
	seal_section();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	strcpy(section()->name, "a\nb");
	seal_section();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
	*section() = was;
	section()->name[15] = 'x'; /* behind the NUL */
	seal_section();
	cr_expect(eq(int, parse(), -ERR_DAMAGED));
}

Test(format, a_second_section_of_the_same_name_and_instance_is_refused)
{
	struct state_section_header *note = (void *)(w.buf + 64 + 40 + 16 + 40 + 32);

	cr_assert(eq(int, state_writer_add(&w, &sample_clock_desc, 0, &sample_clock, 16, &err),
		     -EINVAL));
	cr_assert(eq(str, err.text, "section clock[0]: there is one already"));
	strcpy(note->name, "clock");
	note->crc32c = 0;
	note->crc32c = digest_crc32c(0, note, sizeof(*note) + 3);
	cr_assert(eq(int, parse(), -ERR_DAMAGED));
	cr_assert(eq(str, err.text, "section clock[0] at offset 192: there is one already"));
}

Test(format, the_writer_refuses_what_the_reader_would)
{
	struct state_section s = { .name = "sixteen_letters_", .data = "", .len = 0 };
	struct state_desc big = { .name = "big", .version = 1, .size = STATE_FILE_MAX_SIZE };
	uint8_t *zeros = calloc(1, STATE_FILE_MAX_SIZE);

	cr_expect(eq(int, state_writer_put(&w, &s, &err), -EINVAL));
	s.name = "";
	cr_expect(eq(int, state_writer_put(&w, &s, &err), -EINVAL));
	cr_expect(eq(int, state_writer_add(&w, &sample_clock_desc, 1, &sample_clock, 8, &err),
		     -EINVAL));
	cr_expect(eq(str, err.text, "section clock[1]: 8 bytes, expected 1 times 16"));
	cr_expect(
		eq(int, state_writer_add(&w, &sample_regs_desc, 1, zeros, 80, &err), -EINVAL));
	cr_expect(eq(int, state_writer_add(&w, &big, 0, zeros, STATE_FILE_MAX_SIZE, &err),
		     -EFBIG));
	free(zeros);
}

Test(format, a_file_holds_the_documented_number_of_sections)
{
	struct state_section s = { .name = "n", .data = "", .len = 0 };

	for (s.instance = 0; s.instance < STATE_FILE_MAX_SECTIONS - 3; s.instance++)
		cr_assert(eq(int, state_writer_put(&w, &s, &err), 0));
	cr_assert(eq(int, state_writer_put(&w, &s, &err), -EFBIG));
	cr_assert(eq(int, state_writer_finish(&w, &err), 0));
	cr_assert(eq(int, parse(), 0));
	cr_assert(eq(int, state_file_find(&f, "n", STATE_FILE_MAX_SECTIONS - 4, &s), 1));
}
