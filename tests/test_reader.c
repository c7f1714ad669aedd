/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/frames.h"
#include "snapshot/reader.h"
#include "tests/helpers_image.h"
#include "tests/helpers_refuse.h"

#define SIZE (16u << 20) /* of guest memory: larger than all read buffers together */

static char scratch[256];
static struct mem mem, out;
static struct frames f;
static int fd;

/* Incompressible, but for a zero page here and there: frames of many sizes. */
static void fill(void)
{
	struct err err = { 0 };
	uint64_t x = 88172645463325252u;

	mem = (struct mem){ .nregions = 1, .regions[0] = { .size = SIZE } };
	out = mem;
	cr_assert(eq(int, mem_map(&mem, &err), 0), "%s", err.text);
	cr_assert(eq(int, mem_map(&out, &err), 0), "%s", err.text);
	for (size_t i = 0; i < SIZE / 8; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		if (i / 512 % 23 != 5)
			((uint64_t *)(void *)mem.regions[0].host)[i] = i / 512 % 3 ? x : 7;
	}
}

static void setup(void)
{
	struct frames_info info;
	struct err err = { 0 };
	const char *path;

	fill();
	scratch_make(scratch);
	path = scratch_path(scratch, "memory.lz4");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert(eq(int, frames_write(fd, &mem, NULL, NULL, &info, &err), 0), "%s", err.text);
	cr_assert(eq(int, fsync(fd), 0));
	cr_assert(eq(int, frames_open(&f, fd, &mem, &info.table, &err), 0), "%s", err.text);
	f.direct_fd = open(path, O_RDONLY | O_DIRECT); /* -1 on some file systems: fine */
}

static void teardown(void)
{
	if (f.direct_fd >= 0)
		close(f.direct_fd);
	frames_close(&f);
	close(fd);
	scratch_remove(scratch);
	mem_unmap(&mem);
	mem_unmap(&out);
}

TestSuite(reader, .init = setup, .fini = teardown, .timeout = 60);

/* Bytes of the file that are in the page cache, as far as mincore can tell. */
static size_t cached_size(void)
{
	size_t size = (size_t)lseek(fd, 0, SEEK_END), npages = ALIGN_UP(size, 4096u) / 4096;
	unsigned char *in = malloc(npages);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	size_t cached = 0;

	cr_assert(eq(int, mincore(map, size, in), 0));
	for (size_t i = 0; i < npages; i++)
		cached += in[i] & 1 ? 4096 : 0;
	munmap(map, size);
	free(in);
	return cached;
}

/* False: it would not go. */
static bool make_cold(void)
{
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	return cached_size() == 0;
}

static struct reader_list all_frames(void)
{
	return (struct reader_list){ .frames = f.order, .n = f.header.nframes };
}

/* Every frame of the list comes, in its order, with the bytes that pread gives. */
static void read_list(const uint64_t *list, uint64_t n)
{
	struct err err = { 0 };
	struct reader_list frames = { .frames = list, .n = n };
	struct reader *r = reader_open(&f, &frames, &err);
	uint8_t *want = malloc(FRAMES_MAX_SIZE);
	const void *stored = NULL;
	uint64_t frame = 0;

	cr_assert(ne(ptr, r, NULL), "%s", err.text);
	for (uint64_t i = 0; i < n; i++) {
		const struct frames_entry *e = &f.table[list[i]];

		cr_assert(eq(int, reader_next(r, &frame, &stored, &err), 1), "%s", err.text);
		cr_assert(eq(u64, frame, list[i]));
		cr_assert(gt(u64, frames.taken, i));
		cr_assert(eq(sz, pread(fd, want, e->stored, (off_t)e->offset), e->stored));
		cr_assert(eq(int, memcmp(stored, want, e->stored), 0), "frame %llu",
			  (unsigned long long)frame);
	}
	cr_expect(eq(int, reader_next(r, &frame, &stored, &err), 0));
	cr_expect(eq(int, reader_next(r, &frame, &stored, &err), 0), "and again");
	reader_close(r);
	free(want);
}

Test(reader, what_the_page_cache_has_is_read)
{
	cr_expect(eq(int, reader_is_cold(&f, f.order, f.header.nframes), 0));
	read_list(f.order, f.header.nframes);
}

Test(reader, what_only_the_disk_has_is_read)
{
	if (!make_cold())
		cr_skip_test("this file system does not drop its pages");
	cr_expect(eq(int, reader_is_cold(&f, f.order, f.header.nframes), 1));
	read_list(f.order, f.header.nframes);
}

Test(reader, reading_past_the_page_cache_does_not_fill_it)
{
	const void *stored;
	struct reader_list all = all_frames();
	struct err err = { 0 };
	struct reader *r;
	uint64_t frame;

	if (f.direct_fd < 0 || !make_cold())
		cr_skip_test("this file system has no O_DIRECT, or does not drop its pages");
	r = reader_open(&f, &all, &err);
	while (reader_next(r, &frame, &stored, &err) > 0)
		;
	cr_expect(eq(u64, reader_bytes(r) / 4096 >= f.header.npages / 2, 1));
	reader_close(r);
	cr_expect(eq(int, reader_is_cold(&f, f.order, f.header.nframes), 1));
}

Test(reader, where_io_uring_is_refused_it_reads_all_the_same)
{
	struct err err = { 0 };

	refuse_io_uring();
	make_cold();
	read_list(f.order, f.header.nframes);
	make_cold();
	cr_assert(eq(int, frames_decode_all(&f, &out, &err), 0), "%s", err.text);
	cr_expect(eq(int, memcmp(mem.regions[0].host, out.regions[0].host, SIZE), 0));
}

Test(reader, a_list_may_have_gaps_and_go_backwards)
{
	uint64_t n = f.header.nframes, *list = malloc(n * sizeof(*list));

	for (int round = 0; round < 2; round++) {
		for (uint64_t i = 0; i < n; i++)
			list[i] = round ? n - 1 - i : i * 7 % n;
		make_cold();
		read_list(list, n);
		make_cold();
		read_list(list, 1);
	}
	free(list);
}

/* Of two readers of one list. */
struct taker {
	struct reader *reader;
	uint64_t n; /* frames that came to it */
};

static bool take_one(struct taker *t, bool *seen)
{
	struct err err = { 0 };
	const void *stored;
	uint64_t frame = 0;
	int ret = reader_next(t->reader, &frame, &stored, &err);

	cr_assert(ge(int, ret, 0), "%s", err.text);
	if (ret == 0)
		return false;
	cr_expect(eq(int, seen[frame], 0), "frame %llu twice", (unsigned long long)frame);
	cr_expect(eq(u32, digest_crc32c(0, stored, f.table[frame].stored),
		     f.table[frame].crc32c));
	seen[frame] = true;
	t->n++;
	return true;
}

Test(reader, each_frame_comes_to_one_of_those_that_share_a_list)
{
	for (int cold = 0; cold < 2; cold++) {
		struct reader_list all = all_frames();
		bool *seen = calloc(all.n, sizeof(*seen));
		struct taker early = { 0 }, late = { 0 };
		struct err err = { 0 };
		bool any;

		if (cold)
			make_cold();
		early.reader = reader_open(&f, &all, &err);
		late.reader = reader_open(&f, &all, &err);
		for (uint64_t i = 0; i < all.n / 2; i++)
			cr_assert(take_one(&early, seen));
		do {
			any = take_one(&early, seen);
			any = take_one(&late, seen) || any;
		} while (any);
		cr_expect(eq(u64, early.n + late.n, all.n));
		cr_expect(gt(u64, late.n, 0));
		cr_expect(gt(u64, early.n, late.n), "who comes late has less to do");
		reader_close(early.reader);
		reader_close(late.reader);
		free(seen);
	}
}

Test(reader, an_empty_list_has_no_frames)
{
	read_list(NULL, 0);
	cr_expect(eq(int, reader_is_cold(&f, NULL, 0), 0));
}

Test(reader, a_reader_may_be_closed_with_reads_in_flight)
{
	struct err err = { 0 };
	const void *stored;
	uint64_t frame;

	for (int i = 0; i < 20; i++) {
		struct reader_list all = all_frames();
		struct reader *r;

		make_cold();
		r = reader_open(&f, &all, &err);
		if (i % 2)
			cr_assert(eq(int, reader_next(r, &frame, &stored, &err), 1));
		reader_close(r);
	}
}

Test(reader, a_file_that_was_cut_is_damaged)
{
	for (int cold = 0; cold < 2; cold++) {
		uint64_t frame = 0, half = f.header.nframes / 2;
		struct reader_list all = all_frames();
		struct err err = { 0 };
		const void *stored;
		struct reader *r;
		int ret;

		cr_assert(eq(int, ftruncate(fd, (off_t)f.table[half].offset + 1), 0));
		if (cold)
			make_cold();
		r = reader_open(&f, &all, &err);
		while ((ret = reader_next(r, &frame, &stored, &err)) > 0)
			cr_assert(lt(u64, frame, half));
		cr_expect(eq(int, ret, -ERR_DAMAGED));
		cr_expect(ne(ptr, strstr(err.text, "ends at offset"), NULL), "%s", err.text);
		reader_close(r);
	}
}

Test(reader, two_threads_decode_what_one_would)
{
	struct err err = { 0 };

	for (int cold = 0; cold < 2; cold++) {
		memset(out.regions[0].host, 0, SIZE);
		if (cold)
			make_cold();
		cr_assert(eq(int, frames_decode_all(&f, &out, &err), 0), "%s", err.text);
		cr_expect(eq(int, memcmp(mem.regions[0].host, out.regions[0].host, SIZE), 0));
	}
}

Test(reader, damage_is_found_whichever_thread_meets_it)
{
	for (int half = 0; half < 2; half++) {
		uint64_t frame = half ? f.header.nframes - 1 : 0;
		struct err err = { 0 };
		uint8_t byte, flipped;

		cr_assert(eq(sz, pread(fd, &byte, 1, (off_t)f.table[frame].offset), 1));
		flipped = byte ^ 1;
		cr_assert(eq(sz, pwrite(fd, &flipped, 1, (off_t)f.table[frame].offset), 1));
		cr_expect(eq(int, frames_decode_all(&f, &out, &err), -ERR_DAMAGED));
		cr_expect(ne(ptr, strstr(err.text, "crc32c"), NULL), "%s", err.text);
		cr_assert(eq(sz, pwrite(fd, &byte, 1, (off_t)f.table[frame].offset), 1));
	}
}

/* The kernel would read ahead of them: megabytes, on some disks, that no start wants. */
Test(reader, of_a_cold_file_the_table_is_read_and_a_frame_that_follows_and_nothing_else)
{
	uint8_t *stored = malloc(FRAMES_MAX_SIZE);
	struct err err = { 0 };
	struct frames again;

	if (!make_cold())
		cr_skip_test("this file system does not drop its pages");
	cr_assert(eq(int, frames_open(&again, fd, &mem, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, frames_decode(&again, 0, stored, &out, &err), 0), "%s", err.text);
	cr_expect(le(sz, cached_size(),
		     again.header.data_offset + again.table[0].stored + 2 * 4096));
	frames_close(&again);
	free(stored);
}
