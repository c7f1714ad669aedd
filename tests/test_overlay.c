/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "devices/overlay.h"
#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/overlay_file.h"
#include "tests/helpers_image.h"

/* A drive whose last block is cut. */
#define NBLOCKS 100u
#define SIZE	((uint64_t)NBLOCKS * BLOCKS_SIZE - 1024)

static struct err err;
static int base_fd;
static uint8_t model[NBLOCKS * BLOCKS_SIZE]; /* what the machine is to see */
static uint8_t base[NBLOCKS * BLOCKS_SIZE];

static void setup(void)
{
	srand(7);
	for (size_t i = 0; i < SIZE; i++)
		base[i] = (uint8_t)rand();
	base_fd = bytes_memfd(base, SIZE);
	memcpy(model, base, sizeof(model));
}

TestSuite(overlay, .init = setup, .timeout = 60);

static void init(struct overlay *o, const struct blocks *frozen, uint64_t limit)
{
	cr_assert(eq(int, overlay_init(o, base_fd, SIZE, frozen, limit, &err), 0), "%s",
		  err.text);
}

/* Bytes as a machine reads them. */
static void read_bytes(const struct overlay *o, uint64_t off, uint64_t len, uint8_t *to)
{
	while (len > 0) {
		const uint8_t *at;
		uint64_t n = overlay_find(o, off, len, &at);

		cr_assert(gt(u64, n, 0));
		cr_assert(le(u64, n, len));
		if (at)
			memcpy(to, at, n);
		else
			cr_assert(eq(sz, pread(base_fd, to, n, (off_t)off), n));
		to += n;
		off += n;
		len -= n;
	}
}

static void expect_model(const struct overlay *o)
{
	static uint8_t seen[SIZE];

	read_bytes(o, 0, SIZE, seen);
	for (size_t i = 0; i < SIZE; i++)
		cr_assert(eq(u8, seen[i], model[i]), "byte %zu", i);
}

static void write_bytes(struct overlay *o, uint64_t off, uint64_t len, uint8_t value)
{
	uint8_t *at;

	cr_assert(eq(int, overlay_claim(o, off, len, &at), 0));
	memset(at, value, len);
	memset(model + off, value, len);
}

/* Part of the drive, in whole sectors. */
static uint64_t pick(uint64_t *len)
{
	uint64_t first = (uint64_t)rand() % (SIZE / 512);
	uint64_t n = 1 + (uint64_t)rand() % (rand() % 8 ? 20 : 300);

	*len = MIN(n, SIZE / 512 - first) * 512;
	return first * 512;
}

/* Whatever a machine does to its drive. */
static void scribble(struct overlay *o, int rounds)
{
	static uint8_t again[SIZE];

	for (int i = 0; i < rounds; i++) {
		uint64_t len, off = pick(&len);

		switch (rand() % 4) {
		case 0:
			cr_assert(eq(int, overlay_zero(o, off, len), 0));
			memset(model + off, 0, len);
			break;
		case 1: /* what is there then is not said, only that it stays */
			overlay_discard(o, off, len);
			read_bytes(o, off, len, again);
			memcpy(model + off, again, len);
			break;
		default:
			write_bytes(o, off, len, (uint8_t)rand());
		}
		if (i % 16 == 0)
			expect_model(o);
	}
	expect_model(o);
}

/* Through a file, to where clones share it. */
static void freeze(const struct overlay *o, struct blocks *frozen)
{
	int fd = memfd_create("file", MFD_CLOEXEC), memfd;
	uint64_t size;

	cr_assert(eq(int, overlay_file_write(fd, 0, o, &size, &err), 0), "%s", err.text);
	cr_assert(eq(int, overlay_file_load(fd, SIZE, NULL, frozen, &memfd, &err), 0), "%s",
		  err.text);
	close(memfd);
	close(fd);
}

Test(overlay, has_what_was_written_and_else_the_base)
{
	struct overlay o;
	static uint8_t now[sizeof(base)];

	init(&o, NULL, 0);
	expect_model(&o);
	scribble(&o, 400);
	cr_assert(eq(sz, pread(base_fd, now, sizeof(now), 0), SIZE));
	cr_expect(eq(int, memcmp(now, base, SIZE), 0), "the base is never written to");
	overlay_fini(&o);
}

Test(overlay, a_reset_takes_everything_back)
{
	struct overlay o;

	init(&o, NULL, 0);
	for (int i = 0; i < 20; i++) {
		memcpy(model, base, sizeof(model));
		expect_model(&o);
		scribble(&o, i);
		overlay_reset(&o);
		cr_expect(eq(u64, o.count, 0));
	}
	overlay_fini(&o);
}

Test(overlay, what_was_frozen_is_below_and_comes_back_with_a_reset)
{
	struct overlay o, clone;
	struct blocks frozen, again;
	uint8_t *then = malloc(sizeof(model));

	init(&o, NULL, 0);
	scribble(&o, 30);
	memcpy(then, model, sizeof(model));
	freeze(&o, &frozen);
	overlay_fini(&o);
	init(&clone, &frozen, 0);
	expect_model(&clone);
	scribble(&clone, 100);
	/* A second generation: both layers become one. */
	freeze(&clone, &again);
	init(&o, &again, 0);
	expect_model(&o);
	overlay_reset(&clone);
	memcpy(model, then, sizeof(model));
	expect_model(&clone);
	overlay_fini(&o);
	overlay_fini(&clone);
	blocks_close(&frozen);
	blocks_close(&again);
	free(then);
}

Test(overlay, generations_keep_what_was_written)
{
	struct blocks frozen = { 0 };

	for (int i = 0; i < 5; i++) {
		struct blocks next;
		struct overlay o;

		init(&o, frozen.data ? &frozen : NULL, 0);
		expect_model(&o);
		scribble(&o, 10);
		freeze(&o, &next);
		overlay_fini(&o);
		blocks_close(&frozen);
		frozen = next;
	}
	blocks_close(&frozen);
}

Test(overlay, of_a_block_that_is_written_in_part_the_rest_stays)
{
	struct overlay o;

	init(&o, NULL, 0);
	write_bytes(&o, 512, 512, 1);
	write_bytes(&o, 3 * BLOCKS_SIZE - 512, 1024, 2);
	write_bytes(&o, SIZE - 512, 512, 3);
	expect_model(&o);
	cr_expect(eq(u64, o.count, 4));
	overlay_fini(&o);
}

Test(overlay, a_limit_is_kept_and_nothing_is_half_done)
{
	struct overlay o;
	uint8_t *at;

	init(&o, NULL, 10);
	write_bytes(&o, 0, 8 * BLOCKS_SIZE, 1);
	cr_expect(eq(int, overlay_claim(&o, 4 * BLOCKS_SIZE, 7 * BLOCKS_SIZE, &at), -ENOSPC));
	cr_expect(eq(int, overlay_zero(&o, 50 * BLOCKS_SIZE, 3 * BLOCKS_SIZE), -ENOSPC));
	cr_expect(eq(u64, o.count, 8));
	expect_model(&o);
	write_bytes(&o, 4 * BLOCKS_SIZE, 6 * BLOCKS_SIZE, 2);
	expect_model(&o);
	overlay_reset(&o);
	cr_expect(eq(int, overlay_claim(&o, 0, 10 * BLOCKS_SIZE, &at), 0));
	overlay_fini(&o);
}

Test(overlay, a_base_that_was_cut_fails_the_write_and_claims_nothing)
{
	struct overlay o;
	uint8_t *at;

	init(&o, NULL, 0);
	cr_assert(eq(int, ftruncate(base_fd, BLOCKS_SIZE), 0));
	cr_expect(eq(int, overlay_claim(&o, BLOCKS_SIZE + 512, 512, &at), -EIO));
	cr_expect(eq(u64, o.count, 0));
	overlay_fini(&o);
}

Test(overlay, memory_is_used_for_what_is_written_only)
{
	const uint64_t size = 1ull << 40;
	struct overlay o;
	uint8_t *at;

	cr_assert(eq(int, overlay_init(&o, base_fd, size, NULL, 0, &err), 0), "%s", err.text);
	cr_assert(eq(int, overlay_claim(&o, size - BLOCKS_SIZE, BLOCKS_SIZE, &at), 0));
	*at = 1;
	cr_assert(eq(int, overlay_zero(&o, size / 2, 1 << 30), 0));
	cr_expect(eq(u64, o.count, 1 + (1 << 30) / BLOCKS_SIZE));
	overlay_reset(&o);
	overlay_fini(&o);
}

Test(overlay, frozen_blocks_have_to_be_sealed_and_of_this_drive)
{
	struct blocks b, other;
	struct overlay o;
	int fd;

	cr_assert(eq(int, blocks_create_shared(&b, SIZE, &fd, &err), 0), "%s", err.text);
	cr_expect(eq(int, blocks_open(&other, fd, SIZE, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "not sealed"), NULL), "%s", err.text);
	cr_assert(eq(int, blocks_freeze(&b, fd, &err), 0), "%s", err.text);
	cr_expect(eq(int, blocks_open(&other, fd, 2 * SIZE, &err), -EINVAL));
	cr_expect(eq(int, blocks_open(&other, fd, SIZE, &err), 0), "%s", err.text);
	cr_expect(eq(int, overlay_init(&o, base_fd, 2 * SIZE, &b, 0, &err), -EINVAL));
	blocks_close(&other);
	blocks_close(&b);
	close(fd);
}

/* ---- the file ---- */

static uint8_t *file;
static size_t file_len;

/* Blocks 0 to 3, 50 as zeros, and the last one. */
static void make_file(void)
{
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint64_t size;
	struct overlay o;

	setup();
	init(&o, NULL, 0);
	write_bytes(&o, 0, 3 * BLOCKS_SIZE + 512, 9);
	cr_assert(eq(int, overlay_zero(&o, 50 * BLOCKS_SIZE, BLOCKS_SIZE), 0));
	write_bytes(&o, SIZE - 512, 512, 8);
	cr_assert(eq(int, overlay_file_write(fd, 0, &o, &size, &err), 0), "%s", err.text);
	overlay_fini(&o);
	file_len = (size_t)lseek(fd, 0, SEEK_END);
	file = malloc(file_len);
	cr_assert(eq(sz, pread(fd, file, file_len, 0), file_len));
	close(fd);
}

static struct overlay_file_header *header(void)
{
	return (void *)file;
}

static struct overlay_file_entry *entry(uint32_t i)
{
	return (struct overlay_file_entry *)(void *)(header() + 1) + i;
}

static void seal(void)
{
	struct overlay_file_header *h = header();

	h->table_crc32c = digest_crc32c(0, entry(0), h->nblocks * sizeof(*entry(0)));
	h->crc32c = overlay_file_header_crc(h);
}

static struct digest *sha256; /* that the file is to have; NULL: nobody knows */

static int load(void)
{
	int fd = bytes_memfd(file, file_len), memfd, ret;
	struct blocks b;

	ret = overlay_file_load(fd, SIZE, sha256, &b, &memfd, &err);
	if (ret == 0)
		close(memfd);
	else
		cr_expect(eq(int, memfd, -1));
	blocks_close(&b);
	close(fd);
	return ret;
}

Test(overlay_file, of_few_blocks_is_small, .init = make_file)
{
	cr_expect(eq(int, load(), 0), "%s", err.text);
	cr_expect(eq(u64, header()->nblocks, 6));
	cr_expect(eq(sz, file_len, BLOCKS_SIZE + 5 * BLOCKS_SIZE), "zeros are not stored");
}

/* Also of the bytes between table and blocks, which have no CRC. */
Test(overlay_file, with_a_digest_every_byte_counts, .init = make_file)
{
	struct digest is;

	sha256 = &is;
	cr_assert(eq(int, digest_of(&is, file, file_len, &err), 0));
	cr_expect(eq(int, load(), 0), "%s", err.text);
	for (size_t at = 0; at < file_len; at += 97) {
		file[at] ^= 1;
		cr_expect(eq(int, load(), -ERR_DAMAGED), "byte %zu", at);
		file[at] ^= 1;
	}
	header()->nblocks = 0;
	seal();
	file_len = sizeof(*header());
	cr_expect(eq(int, load(), -ERR_DAMAGED), "an empty one has another");
	cr_assert(eq(int, digest_of(&is, file, file_len, &err), 0));
	cr_expect(eq(int, load(), 0), "%s", err.text);
}

static void bad_magic(void)
{
	header()->magic[0] ^= 1;
}
static void bad_header(void)
{
	header()->drive_size ^= 512;
}
static void next_version(void)
{
	header()->version = 2;
	seal();
}
static void other_block_size(void)
{
	header()->block_size = 512;
	seal();
}
static void reserved_used(void)
{
	header()->reserved[3] = 1;
	seal();
}
static void other_drive(void)
{
	header()->drive_size += 512;
	seal();
}
static void too_many(void)
{
	header()->nblocks = NBLOCKS + 1;
	header()->crc32c = overlay_file_header_crc(header());
}
static void nblocks_wraps(void)
{
	header()->nblocks = 1ull << 60;
	header()->crc32c = overlay_file_header_crc(header());
}
static void cut_in_table(void)
{
	file_len = 100;
}
static void cut_in_header(void)
{
	file_len = 20;
}
static void bad_table(void)
{
	entry(2)->crc32c ^= 1;
}
static void twice(void)
{
	entry(2)->block = 1;
	seal();
}
static void beyond(void)
{
	entry(5)->block = NBLOCKS;
	seal();
}
static void unknown_flag(void)
{
	entry(1)->flags = 2;
	seal();
}
static void zeros_with_crc(void)
{
	entry(4)->crc32c = 7;
	seal();
}
static void one_less(void)
{
	file_len -= BLOCKS_SIZE;
}
static void one_more(void)
{
	file = realloc(file, file_len + 1);
	file[file_len++] = 0;
}
static void bad_block(void)
{
	file[file_len - BLOCKS_SIZE] ^= 1;
}

static const struct {
	void (*change)(void);
	int ret;
	const char *why;
} hostile[] = {
	{ bad_magic, -ERR_DAMAGED, "are not blocks" },
	{ bad_header, -ERR_DAMAGED, "header: wrong crc32c" },
	{ next_version, -ERR_UNFIT, "version 2" },
	{ other_block_size, -ERR_UNFIT, "blocks of 512" },
	{ reserved_used, -ERR_UNFIT, "version 1" },
	{ other_drive, -ERR_UNFIT, "of a drive of" },
	{ too_many, -ERR_DAMAGED, "the drive has fewer" },
	{ nblocks_wraps, -ERR_DAMAGED, "the drive has fewer" },
	{ cut_in_table, -ERR_DAMAGED, "expected at least" },
	{ cut_in_header, -ERR_DAMAGED, "ends at offset" },
	{ bad_table, -ERR_DAMAGED, "table: wrong crc32c" },
	{ twice, -ERR_DAMAGED, "table: block 1, expected 2" },
	{ beyond, -ERR_DAMAGED, "table: block 100" },
	{ unknown_flag, -ERR_DAMAGED, "flags 0x2" },
	{ zeros_with_crc, -ERR_DAMAGED, "flags 0x1" },
	{ one_less, -ERR_DAMAGED, "expected" },
	{ one_more, -ERR_DAMAGED, "expected" },
	{ bad_block, -ERR_DAMAGED, "wrong crc32c" },
};

/* Each test is a process of its own, with other addresses: it gets a number. */
ParameterizedTestParameters(overlay_file, a_hostile_one_is_refused)
{
	static unsigned int numbers[ARRAY_SIZE(hostile)];

	for (unsigned int i = 0; i < ARRAY_SIZE(hostile); i++)
		numbers[i] = i;
	return cr_make_param_array(unsigned int, numbers, ARRAY_SIZE(hostile));
}

ParameterizedTest(unsigned int *i, overlay_file, a_hostile_one_is_refused, .init = make_file)
{
	hostile[*i].change();
	cr_expect(eq(int, load(), hostile[*i].ret), "%s: %s", hostile[*i].why, err.text);
	cr_expect(ne(ptr, strstr(err.text, hostile[*i].why), NULL), "%s: %s", hostile[*i].why,
		  err.text);
}

Test(overlay_file, of_nothing_written_is_fine)
{
	struct overlay o;
	struct blocks b;

	setup();
	init(&o, NULL, 0);
	freeze(&o, &b);
	cr_expect(eq(ptr, (void *)overlay_block(&o, 0), NULL));
	blocks_close(&b);
	overlay_fini(&o);
}
