/* SPDX-License-Identifier: Apache-2.0 */
/*
 * contents.h - the bytes of regular files. Those of the archive are used where they lie until
 * they are changed; those that the program writes are in pages of kindling's, taken when they
 * are first written, so that files can have holes.
 */
#pragma once

#include <stdint.h>

struct node;

/* Up to @size bytes from @pos on. Returns how many there are. */
uint64_t contents_read(const struct node *n, void *dst, uint64_t size, uint64_t pos);

/* Returns bytes written, fewer than @size when memory ends, or -ENOSPC, -EFBIG. */
int64_t contents_write(struct node *n, const void *src, uint64_t size, uint64_t pos);

/* Cut the file, or let it grow by a hole. Returns 0, -ENOSPC or -EFBIG. */
int contents_resize(struct node *n, uint64_t size);

/* Bytes of memory that the contents take. */
uint64_t contents_used(const struct node *n);
