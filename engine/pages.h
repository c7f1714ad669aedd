/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - which pages of a mapping this process has: found by the PAGEMAP_SCAN ioctl
 * (Linux 6.7), or by reading /proc/self/pagemap before that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

struct pages {
	int pagemap_fd; /* of the process that opened it: not to be used after a fork */
	bool has_scan;
};

enum pages_kind {
	PAGES_PRESENT, /* in memory, whatever they are */
	PAGES_PRIVATE, /* this process's own copies in a private mapping of a file */
};

/* Errors: what open says. */
int pages_open(struct pages *p, struct err *err) must_check;
void pages_close(struct pages *p);

/* What to look for, where, and what is called with every run of pages found. */
struct pages_search {
	enum pages_kind kind;
	const void *base; /* a multiple of 4096; so is @size */
	uint64_t size;
	/* Pages [@first, @first + @n) from @base. Returns 0, or -errno to stop. */
	int (*run)(void *arg, uint64_t first, uint64_t n, struct err *err);
	void *arg;
};

/*
 * pages_each - in rising order; neighbours may come as two runs. Of a mapping of which little
 * is there, this is cheaper than a bitmap. Cost and errors: as pages_find; also what run says.
 */
int pages_each(const struct pages *p, const struct pages_search *s, struct err *err) must_check;

/*
 * pages_find - set the bit of every page of [@base, @base + @size) that is of @kind.
 * @base, @size: multiples of 4096. @bitmap: bit i is page i; other bits stay as they are.
 * Cost: 5 us for 64 MiB of which little is mapped, with PAGEMAP_SCAN.
 * Errors: what ioctl and pread say.
 */
int pages_find(const struct pages *p, enum pages_kind kind, const void *base, uint64_t size,
	       uint64_t *bitmap, struct err *err) must_check;

/* Bytes of a bitmap for @npages pages. */
static inline size_t pages_bitmap_size(uint64_t npages)
{
	return (size_t)((npages + 63) / 64 * 8);
}

static inline bool pages_test(const uint64_t *bitmap, uint64_t page)
{
	return bitmap[page / 64] >> page % 64 & 1;
}

static inline void pages_set(uint64_t *bitmap, uint64_t page)
{
	bitmap[page / 64] |= 1ull << page % 64;
}

static inline void pages_clear(uint64_t *bitmap, uint64_t page)
{
	bitmap[page / 64] &= ~(1ull << page % 64);
}
