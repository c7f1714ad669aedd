/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - many small things of one size out of kindling's pages. What is given back is
 * cleared and used again; the pages stay the pool's.
 */
#pragma once

#include <stdint.h>

struct pool {
	uint64_t size; /* of one, at least a pointer and at most a page */
	void *free;    /* the first one of a list */
	uint8_t *room; /* the rest of the last page */
	uint64_t left; /* bytes of it */
};

/* Zeros, or NULL: no memory. */
void *pool_take(struct pool *p);
void pool_give_back(struct pool *p, void *item);
