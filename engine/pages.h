/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pages.h - which pages there are: of a private mapping this process's own copies, found by the
 * PAGEMAP_SCAN ioctl (Linux 6.7), or by reading /proc/self/pagemap before that; of a memfd those
 * that it holds, whoever wrote them and wherever the kernel keeps them.
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

/* PAGEMAP_SCAN, the one ioctl that is made here; for who filters system calls. */
#define PAGES_IOCTL 0xc0606610u

/* Errors: what open says. */
int pages_open(struct pages *p, struct err *err) must_check;
void pages_close(struct pages *p);

/* Where to look for copies, and what is called with every run of them. */
struct pages_search {
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
 * pages_find - set the bit of every page of [@base, @base + @size) that is a copy.
 * @base, @size: multiples of 4096. @bitmap: bit i is page i; other bits stay as they are.
 * Cost: 5 us for 64 MiB of which little is mapped, with PAGEMAP_SCAN.
 * Errors: what ioctl and pread say.
 */
int pages_find(const struct pages *p, const void *base, uint64_t size, uint64_t *bitmap,
	       struct err *err) must_check;

/*
 * pages_seek - from *@page on, the first page of the memfd @fd that it holds, which is one that
 * was touched and not removed since, or the first that it does not hold.
 * @whence: SEEK_DATA or SEEK_HOLE, as for lseek(2). The end is a hole.
 * Returns 1 with the page's number in *@page, or 0: there is none.
 * Cost: one lseek, 0.2 us, and 20 ns for every page that SEEK_HOLE passes. Errors: what lseek says.
 */
int pages_seek(int fd, int whence, uint64_t *page, struct err *err) must_check;

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
