/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the stored bytes of many frames of memory.lz4, one frame after the other, while the
 * next ones are on their way.
 *
 * A file that the page cache does not have is read past it, by io_uring: registered buffers, a
 * registered file opened with O_DIRECT, a ring that can do nothing but such reads. A few large
 * reads are in flight while the caller decodes what came; so one thread keeps disk and CPU busy.
 * What the cache has is copied out of it with pread, which costs less. Where io_uring is not
 * allowed (seccomp, kernel.io_uring_disabled) a cold file is read with pread too, after asking
 * the kernel to read ahead.
 *
 * A reader belongs to one thread; any number of readers may read one struct frames. Those that
 * share a list take from it what is next, so none waits for another, whenever each came.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct frames;
struct reader;

/* Frames in the order in which they are wanted. Best when frames that follow each other in it do
 * so in the file: they come with one read. */
struct reader_list {
	const uint64_t *frames; /* indices of the table */
	uint64_t n;
	uint64_t taken; /* the first so many have been read, or are on their way. Atomic */
};

/*
 * reader_open - begin to read what is left of @list. Each frame of it comes to one of its readers.
 * Both stay until reader_close. NULL on error: -ENOMEM, with a sentence.
 */
struct reader *reader_open(const struct frames *f, struct reader_list *list, struct err *err);
void reader_close(struct reader *r); /* NULL: nothing */

/*
 * reader_next - the next frame of those that this reader took; they come in the list's order.
 * @stored: gets its stored bytes, unchecked; valid until the next call.
 * Returns 1; 0 after the last; or -ERR_DAMAGED the file ends before, and what pread says.
 */
int reader_next(struct reader *r, uint64_t *frame, const void **stored,
		struct err *err) must_check;

/* Bytes asked of the file so far. */
uint64_t reader_bytes(const struct reader *r);

/*
 * reader_is_cold - is most of what the list names not in the page cache? Looks at a few places,
 * and reads none of them. A file that the caller neither owns nor may write to never is: the
 * kernel does not tell.
 */
bool reader_is_cold(const struct frames *f, const uint64_t *list, uint64_t n);
