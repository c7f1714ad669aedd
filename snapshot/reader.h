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
 * A reader belongs to one thread; any number of readers may read one struct frames.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct frames;
struct reader;

/*
 * reader_open - begin to read.
 * @list: indices of frames in the order in which they are wanted; @n of them. Best when frames
 *        that follow each other in it do so in the file: they come with one read.
 * Both stay as they are until reader_close. NULL on error: -ENOMEM, with a sentence.
 */
struct reader *reader_open(const struct frames *f, const uint64_t *list, uint64_t n,
			   struct err *err);
void reader_close(struct reader *r); /* NULL: nothing */

/*
 * reader_next - the next frame of the list.
 * @stored: gets its stored bytes, unchecked; valid until the next call.
 * Returns 1; 0 after the last; or -ERR_DAMAGED the file ends before, and what pread says.
 */
int reader_next(struct reader *r, uint64_t *frame, const void **stored,
		struct err *err) must_check;

/* So many frames of the list have been read, or are on their way. */
uint64_t reader_ahead(const struct reader *r);

/* Bytes asked of the file so far. */
uint64_t reader_bytes(const struct reader *r);

/*
 * reader_is_cold - is most of what the list names not in the page cache? Looks at a few places,
 * and reads none of them. A file that the caller neither owns nor may write to never is: the
 * kernel does not tell.
 */
bool reader_is_cold(const struct frames *f, const uint64_t *list, uint64_t n);
