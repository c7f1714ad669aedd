/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/mem.h"

/*
 * PAGEMAP_SCAN, which the headers of older systems do not have. Source: Linux,
 * include/uapi/linux/fs.h and Documentation/admin-guide/mm/pagemap.rst.
 */
struct scan_region {
	uint64_t start, end;
	uint64_t categories;
};

struct scan_arg {
	uint64_t size; /* of this struct */
	uint64_t flags;
	uint64_t start, end;
	uint64_t walk_end; /* out: where it stopped */
	uint64_t vec;	   /* struct scan_region[] */
	uint64_t vec_len;
	uint64_t max_pages; /* 0: no limit */
	uint64_t category_inverted;
	uint64_t category_mask;
	uint64_t category_anyof_mask;
	uint64_t return_mask;
};

_Static_assert(PAGES_IOCTL == _IOWR('f', 16, struct scan_arg), "the number holds the size");

enum { SCAN_FILE = 1u << 2, SCAN_PRESENT = 1u << 3, SCAN_SWAPPED = 1u << 4 };

/* One word a page. Source: Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_SWAPPED (1ull << 62)
#define PAGEMAP_FILE	(1ull << 61) /* of a file, or shared */

#define REGIONS	      256u /* found by one call; ours */
#define PAGEMAP_WORDS 512u /* read by one call; ours */

/* Does this kernel have the ioctl? An empty range is fine where it does. */
static bool scan_works(int fd)
{
	struct scan_arg arg = { .size = sizeof(arg), .return_mask = SCAN_PRESENT };

	return ioctl(fd, PAGES_IOCTL, &arg) == 0;
}

int pages_open(struct pages *p, struct err *err)
{
	p->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (p->pagemap_fd < 0)
		return err_sys(err, "/proc/self/pagemap");
	p->has_scan = scan_works(p->pagemap_fd);
	return 0;
}

void pages_close(struct pages *p)
{
	if (p->pagemap_fd >= 0)
		close(p->pagemap_fd);
	p->pagemap_fd = -1;
}

static int each_by_scan(const struct pages *p, const struct pages_search *s, struct err *err)
{
	uint64_t base = (uintptr_t)s->base;
	struct scan_region found[REGIONS];
	struct scan_arg arg = { .size = sizeof(arg),
				.end = base + s->size,
				.walk_end = base,
				.vec = (uintptr_t)found,
				.vec_len = REGIONS,
				.category_inverted = SCAN_FILE,
				.category_mask = SCAN_FILE,
				.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
				.return_mask = SCAN_PRESENT };
	int ret = 0;

	while (ret == 0 && arg.walk_end < arg.end) {
		int n;

		arg.start = arg.walk_end;
		n = ioctl(p->pagemap_fd, PAGES_IOCTL, &arg);
		if (n < 0)
			return err_sys(err, "PAGEMAP_SCAN");
		for (int i = 0; i < n && ret == 0; i++)
			ret = s->run(s->arg, (found[i].start - base) / MEM_PAGE_SIZE,
				     (found[i].end - found[i].start) / MEM_PAGE_SIZE, err);
	}
	return ret;
}

static bool is_copy(uint64_t word)
{
	return word & (PAGEMAP_PRESENT | PAGEMAP_SWAPPED) && !(word & PAGEMAP_FILE);
}

/* Hand on the runs among @n words, the first of which is of page @page. */
static int each_of_words(const struct pages_search *s, const uint64_t *words, uint64_t n,
			 uint64_t page, struct err *err)
{
	int ret = 0;

	for (uint64_t i = 0; i < n && ret == 0; i++) {
		uint64_t first = i;

		while (i < n && is_copy(words[i]))
			i++;
		if (i > first)
			ret = s->run(s->arg, page + first, i - first, err);
	}
	return ret;
}

static int each_by_pagemap(const struct pages *p, const struct pages_search *s, struct err *err)
{
	uint64_t words[PAGEMAP_WORDS], npages = s->size / MEM_PAGE_SIZE;
	int ret = 0;

	for (uint64_t page = 0; page < npages && ret == 0; page += PAGEMAP_WORDS) {
		uint64_t n = MIN((uint64_t)PAGEMAP_WORDS, npages - page);
		off_t at =
			(off_t)(((uintptr_t)s->base / MEM_PAGE_SIZE + page) * sizeof(words[0]));
		ssize_t got = pread(p->pagemap_fd, words, (size_t)n * sizeof(words[0]), at);

		if (got != (ssize_t)(n * sizeof(words[0])))
			return err_set(err, got < 0 ? errno : EIO,
				       "/proc/self/pagemap: read of %llu pages failed",
				       (unsigned long long)n);
		ret = each_of_words(s, words, n, page, err);
	}
	return ret;
}

int pages_each(const struct pages *p, const struct pages_search *s, struct err *err)
{
	return p->has_scan ? each_by_scan(p, s, err) : each_by_pagemap(p, s, err);
}

static int set_run(void *bitmap, uint64_t first, uint64_t n, struct err *err)
{
	(void)err;
	for (uint64_t i = first; i < first + n; i++)
		pages_set(bitmap, i);
	return 0;
}

int pages_find(const struct pages *p, const void *base, uint64_t size, uint64_t *bitmap,
	       struct err *err)
{
	const struct pages_search s = {
		.base = base, .size = size, .run = set_run, .arg = bitmap
	};

	return pages_each(p, &s, err);
}

int pages_seek(int fd, int whence, uint64_t *page, struct err *err)
{
	off_t at = lseek(fd, (off_t)(*page * MEM_PAGE_SIZE), whence);

	if (at < 0)
		return errno == ENXIO ? 0 : err_sys(err, "lseek to the pages of a memfd");
	*page = (uint64_t)at / MEM_PAGE_SIZE;
	return 1;
}
