/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blocks.h - some blocks of a drive: in memory at the place that they have on it, with a bitmap that
 * says which are there. Memory is used for those only.
 *
 * Either one machine's own, which it writes to, or frozen: a sealed memfd, which is filled once and
 * then shared by all who have its descriptor.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/pages.h"
#include "engine/util.h"

struct err;

#define BLOCKS_SIZE 4096u /* bytes of a block: a page, so that each comes and goes alone */

struct blocks {
	uint64_t size;	  /* bytes of the drive */
	uint64_t nblocks; /* of them, the last may be cut */
	uint8_t *data;	  /* block i at i * BLOCKS_SIZE; zeros where it is not there */
	uint64_t *has;	  /* bit i: it is */
};

/* No blocks yet, of a drive of @size bytes. Errors: -ENOMEM and what mmap says. */
int blocks_create(struct blocks *b, uint64_t size, struct err *err) must_check;

/* The same in a memfd, to be filled and then frozen. @fd: gets its descriptor, the caller's. */
int blocks_create_shared(struct blocks *b, uint64_t size, int *fd, struct err *err) must_check;

/* What is in @b stays for ever. It was made by blocks_create_shared with @fd. */
int blocks_freeze(struct blocks *b, int fd, struct err *err) must_check;

/* Frozen blocks of a drive of @size bytes. Errors: -EINVAL @fd is not sealed, or of another size. */
int blocks_open(struct blocks *b, int fd, uint64_t size, struct err *err) must_check;

/* Also after a failure, or zeroed. */
void blocks_close(struct blocks *b);

static inline bool blocks_have(const struct blocks *b, uint64_t block)
{
	return b->data && pages_test(b->has, block);
}

/* Bytes of block @i: all but the last have BLOCKS_SIZE. */
static inline uint32_t blocks_len(const struct blocks *b, uint64_t i)
{
	return (uint32_t)MIN(b->size - i * BLOCKS_SIZE, (uint64_t)BLOCKS_SIZE);
}
