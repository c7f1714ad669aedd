/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/io.h"
#include "snapshot/raw.h"
#include "tests/helpers_image.h"

#define ID "00112233445566778899aabbccddeeff"

static char dir[256];
static struct mem mem;
static struct digest digest;
static struct err err;
static int fd;

static void setup(void)
{
	scratch_make(dir);
	setenv("XDG_CACHE_HOME", scratch_path(dir, "cache"), 1);
	sample_mem(&mem);
	fd = open(scratch_path(dir, "memory.raw"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	cr_assert(eq(int, raw_write(fd, &mem, NULL, &digest, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	close(fd);
	mem_unmap(&mem);
	scratch_remove(dir);
}

TestSuite(raw, .init = setup, .fini = teardown);

/* Counts the bytes that are read: 0 means that the cache was believed. */
static void count(void *arg, uint64_t done, uint64_t total)
{
	(void)total;
	*(uint64_t *)arg = done;
}

static int check(uint64_t *bytes)
{
	struct io_progress progress = { .step = count, .arg = bytes };

	*bytes = 0;
	return raw_check(fd, ID, mem_size(&mem), &digest, &progress, &err);
}

/* The cache keeps nothing about a file that changed in the last two seconds. */
static void let_age(void)
{
	sleep(3);
}

static const char *cache_file(void)
{
	return scratch_path(dir, "cache/thaw/raw-" ID);
}

Test(raw, the_file_is_the_memory_with_holes)
{
	uint64_t size = mem_size(&mem);
	uint8_t *content = malloc(size);
	struct digest is;
	struct stat st;

	cr_assert(eq(int, io_read(fd, content, size, 0, &err), 0));
	for (unsigned int i = 0; i < 2; i++)
		cr_assert(eq(
			int,
			memcmp(content + i * MEM_HUGE_SIZE, mem.regions[i].host, MEM_HUGE_SIZE),
			0));
	cr_assert(eq(int, digest_of(&is, content, size, &err), 0));
	cr_assert(digest_equal(&is, &digest));
	fstat(fd, &st);
	cr_assert(eq(u64, (uint64_t)st.st_size, size));
	cr_assert(lt(u64, (uint64_t)st.st_blocks * 512, size / 4));
	free(content);
}

Test(raw, another_byte_or_size_is_damage)
{
	cr_assert(eq(int, raw_verify(fd, mem_size(&mem), &digest, NULL, &err), 0));
	cr_assert(eq(int, pwrite(fd, "x", 1, 0x123456), 1));
	cr_assert(eq(int, raw_verify(fd, mem_size(&mem), &digest, NULL, &err), -ERR_DAMAGED));
	cr_assert(eq(int, ftruncate(fd, 0x3ff000), 0));
	cr_assert(eq(int, raw_verify(fd, mem_size(&mem), &digest, NULL, &err), -ERR_DAMAGED));
	cr_assert(eq(str, err.text, "has 4190208 bytes, expected 4194304"));
}

Test(raw, a_young_file_is_checked_every_time)
{
	uint64_t bytes;

	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, check(&bytes), 0));
		cr_assert(eq(u64, bytes, mem_size(&mem)));
	}
	cr_assert(eq(int, access(cache_file(), F_OK), -1));
}

Test(raw, a_check_is_remembered_until_the_file_changes, .timeout = 60)
{
	uint64_t bytes;
	struct stat st;

	let_age();
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, 0));
	cr_assert(eq(int, stat(scratch_path(dir, "cache/thaw"), &st), 0));
	cr_assert(eq(u32, st.st_mode & 0777, 0700));
	cr_assert(eq(int, entries_in(scratch_path(dir, "cache/thaw")), 1));

	/* the expected digest is part of what is remembered */
	digest.bytes[0] ^= 1;
	cr_assert(eq(int, check(&bytes), -ERR_DAMAGED));
	digest.bytes[0] ^= 1;

	cr_assert(eq(int, pwrite(fd, "x", 1, 0x123456), 1));
	cr_assert(eq(int, check(&bytes), -ERR_DAMAGED));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	cr_assert(eq(int, check(&bytes), -ERR_DAMAGED));
}

Test(raw, a_cache_that_is_wrong_or_not_ours_costs_a_check_only, .timeout = 60)
{
	size_t len;
	uint64_t bytes;
	uint8_t *line;

	let_age();
	cr_assert(eq(int, check(&bytes), 0));
	line = bytes_read(cache_file(), &len);
	line[len - 2] ^= 1;
	bytes_write(cache_file(), line, len);
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, 0));

	/* one that others can write could say anything */
	chmod(cache_file(), 0666);
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, 0));

	bytes_write(cache_file(), "", 0);
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	free(line);
}

Test(raw, without_a_cache_every_check_is_a_full_one, .timeout = 60)
{
	uint64_t bytes;

	let_age();
	setenv("XDG_CACHE_HOME", scratch_path(dir, "memory.raw"), 1); /* no directory */
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, check(&bytes), 0), "%s", err.text);
		cr_assert(eq(u64, bytes, mem_size(&mem)));
	}
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, mem_size(&mem)));
	setenv("HOME", dir, 1);
	for (int i = 0; i < 2; i++)
		cr_assert(eq(int, check(&bytes), 0));
	cr_assert(eq(u64, bytes, 0));
	cr_assert(eq(int, access(scratch_path(dir, ".cache/thaw/raw-" ID), F_OK), 0));
}
