/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tools/thaw/blob.h"

static char dir[256];
static struct blob blob;
static struct err err;

static void setup(void)
{
	scratch_make(dir);
}

static void teardown(void)
{
	blob_free(&blob);
	scratch_remove(dir);
}

TestSuite(blob, .init = setup, .fini = teardown, .timeout = 20);

Test(blob, a_file_is_read_whole)
{
	static uint8_t bytes[200001]; /* more than two allocations, not a power of two */
	const char *path = scratch_path(dir, "file");

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 31 >> 3);
	bytes_write(path, bytes, sizeof(bytes));
	cr_assert(eq(int, blob_read(&blob, path, sizeof(bytes), &err), 0), "%s", err.text);
	cr_assert(eq(sz, blob.size, sizeof(bytes)));
	cr_expect(eq(int, memcmp(blob.data, bytes, sizeof(bytes)), 0));
	blob_free(&blob);
	cr_expect(eq(sz, blob.size, 0));
	cr_expect(eq(ptr, blob.data, NULL));
}

Test(blob, an_empty_file_is_an_empty_blob)
{
	const char *path = scratch_path(dir, "empty");

	bytes_write(path, "", 0);
	cr_expect(eq(int, blob_read(&blob, path, 0, &err), 0), "%s", err.text);
	cr_expect(eq(sz, blob.size, 0));
	cr_expect(eq(ptr, blob.data, NULL));
}

Test(blob, one_byte_too_many_is_refused)
{
	const char *path = scratch_path(dir, "file");
	char want[300];

	bytes_write(path, "12345", 5);
	cr_expect(eq(int, blob_read(&blob, path, 5, &err), 0));
	blob_free(&blob);
	cr_expect(eq(int, blob_read(&blob, path, 4, &err), -EFBIG));
	snprintf(want, sizeof(want), "%s: larger than 4 bytes", path);
	cr_expect(eq(str, err.text, want));
}

Test(blob, what_is_no_regular_file_is_refused_and_named)
{
	const char *fifo = scratch_path(dir, "fifo");
	char want[300];

	cr_expect(eq(int, blob_read(&blob, "/dev/null", 100, &err), -EINVAL));
	cr_expect(eq(str, err.text, "/dev/null: not a regular file"));
	cr_expect(eq(int, blob_read(&blob, dir, 100, &err), -EINVAL));
	snprintf(want, sizeof(want), "%s: not a regular file", dir);
	cr_expect(eq(str, err.text, want));
	cr_expect(eq(int, blob_read(&blob, "/no/such/file", 100, &err), -ENOENT));
	cr_expect(eq(str, err.text, "/no/such/file: No such file or directory"));
	/* Nobody writes to it: opening must not wait for that. */
	cr_assert(eq(int, mkfifo(fifo, 0600), 0));
	cr_expect(eq(int, blob_read(&blob, fifo, 100, &err), -EINVAL));
}

Test(blob, a_descriptor_is_read_to_its_end_in_whatever_pieces_it_comes)
{
	int fds[2];

	cr_assert(eq(int, pipe(fds), 0));
	cr_assert(eq(i64, write(fds[1], "abc", 3), 3));
	cr_assert(eq(i64, write(fds[1], "defg", 4), 4));
	close(fds[1]);
	cr_expect(eq(int, blob_read_fd(&blob, fds[0], "stdin", 7, &err), 0));
	cr_assert(eq(sz, blob.size, 7));
	cr_expect(eq(int, memcmp(blob.data, "abcdefg", 7), 0));
	cr_expect(eq(int, blob_read_fd(&blob, fds[1], "stdin", 7, &err), -EBADF));
	cr_expect(eq(str, err.text, "read stdin: Bad file descriptor"));
	close(fds[0]);
}

Test(blob, appending_keeps_the_limit_also_for_lengths_that_wrap)
{
	cr_expect(eq(int, blob_append(&blob, "abc", 3, 10, &err), 0));
	cr_expect(eq(int, blob_append(&blob, "x", SIZE_MAX - 1, 10, &err), -EFBIG));
	cr_expect(eq(int, blob_append(&blob, "x", SIZE_MAX - 1, UINT64_MAX, &err), -EFBIG));
	cr_expect(eq(int, blob_append(&blob, "defghij", 7, 10, &err), 0));
	cr_expect(eq(int, blob_append(&blob, "", 0, 10, &err), 0));
	cr_expect(eq(int, blob_append(&blob, "k", 1, 10, &err), -EFBIG));
	cr_expect(eq(str, err.text, "larger than 10 bytes"));
	cr_assert(eq(sz, blob.size, 10));
	cr_expect(eq(int, memcmp(blob.data, "abcdefghij", 10), 0));
}

Test(blob, a_text_takes_the_place_of_what_was_there)
{
	cr_assert(eq(int, blob_append(&blob, "abc", 3, 10, &err), 0));
	cr_assert(eq(int, blob_set_text(&blob, "hello", &err), 0));
	cr_assert(eq(sz, blob.size, 5));
	cr_expect(eq(int, memcmp(blob.data, "hello", 5), 0));
	cr_assert(eq(int, blob_append(&blob, ", world", 7, 20, &err), 0));
	cr_assert(eq(sz, blob.size, 12));
	cr_expect(eq(int, memcmp(blob.data, "hello, world", 12), 0));
	cr_assert(eq(int, blob_set_text(&blob, "", &err), 0));
	cr_expect(eq(sz, blob.size, 0));
	cr_expect(ne(ptr, blob.data, NULL), "an empty text is one");
}
