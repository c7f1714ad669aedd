/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages.c - which pages of a private mapping are copies, both ways to ask, and which pages a
 * memfd holds. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/mem.h"
#include "engine/pages.h"

/* More pages, and more separate runs of them, than one call returns. */
#define NPAGES 4096u

struct mapping {
	int fd;
	uint8_t *base;
	struct pages pages;
	uint64_t bitmap[NPAGES / 64];
};

static void mapping_make(struct mapping *m, int flags)
{
	struct err err = { 0 };

	memset(m, 0, sizeof(*m));
	m->fd = memfd_create("test", MFD_CLOEXEC);
	cr_assert(eq(int, ftruncate(m->fd, (off_t)NPAGES * MEM_PAGE_SIZE), 0));
	m->base = mmap(NULL, (size_t)NPAGES * MEM_PAGE_SIZE, PROT_READ | PROT_WRITE, flags,
		       m->fd, 0);
	cr_assert(ne(ptr, m->base, MAP_FAILED));
	cr_assert(eq(int, pages_open(&m->pages, &err), 0), "%s", err.text);
}

static void mapping_free(struct mapping *m)
{
	pages_close(&m->pages);
	munmap(m->base, (size_t)NPAGES * MEM_PAGE_SIZE);
	close(m->fd);
}

static void find(struct mapping *m)
{
	struct err err = { 0 };

	memset(m->bitmap, 0, sizeof(m->bitmap));
	cr_assert(eq(int,
		     pages_find(&m->pages, m->base, (uint64_t)NPAGES * MEM_PAGE_SIZE, m->bitmap,
				&err),
		     0),
		  "%s", err.text);
}

static void touch(const struct mapping *m, uint64_t page, bool write)
{
	volatile uint8_t *p = m->base + page * MEM_PAGE_SIZE;

	if (write)
		*p = 1;
	else
		(void)*p;
}

/* Every seventh page is written; every fifth is read, which may bring its neighbours. */
static void check_private(struct mapping *m)
{
	for (uint64_t i = 0; i < NPAGES; i++) {
		if (i % 7 == 0 || i % 5 == 0)
			touch(m, i, i % 7 == 0);
	}
	find(m);
	for (uint64_t i = 0; i < NPAGES; i++)
		cr_assert(eq(int, pages_test(m->bitmap, i), i % 7 == 0), "page %lu", i);
	madvise(m->base + 7 * MEM_PAGE_SIZE, MEM_PAGE_SIZE, MADV_DONTNEED);
	find(m);
	cr_expect(not(pages_test(m->bitmap, 7)));
	cr_expect(pages_test(m->bitmap, 14));
}

Test(pages, copies_in_a_private_mapping)
{
	static struct mapping m;

	mapping_make(&m, MAP_PRIVATE);
	check_private(&m);
	mapping_free(&m);
}

Test(pages, the_same_without_the_ioctl)
{
	static struct mapping m;

	mapping_make(&m, MAP_PRIVATE);
	m.pages.has_scan = false;
	check_private(&m);
	mapping_free(&m);
}

Test(pages, a_shared_mapping_has_no_copies)
{
	static struct mapping m;

	for (int scan = 0; scan <= 1; scan++) {
		mapping_make(&m, MAP_SHARED);
		m.pages.has_scan = m.pages.has_scan && scan;
		for (uint64_t i = 3; i < NPAGES; i += 2)
			touch(&m, i, true);
		find(&m);
		for (uint64_t i = 0; i < NPAGES; i++)
			cr_assert(not(pages_test(m.bitmap, i)));
		mapping_free(&m);
	}
}

/* The first page that is there or not, from @page on; NPAGES + 1: there is none. */
static uint64_t seek(const struct mapping *m, int whence, uint64_t page)
{
	struct err err = { 0 };
	int ret = pages_seek(m->fd, whence, &page, &err);

	cr_assert(ge(int, ret, 0), "%s", err.text);
	return ret == 1 ? page : NPAGES + 1;
}

/* Written, read, swapped out where there is swap, and in no page table of this process. */
Test(pages, a_memfd_tells_what_it_holds)
{
	static struct mapping m;

	mapping_make(&m, MAP_SHARED);
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 0), NPAGES + 1));
	cr_expect(eq(u64, seek(&m, SEEK_HOLE, 0), 0));
	for (uint64_t i = 3; i < 7; i++)
		touch(&m, i, true);
	touch(&m, 100, false);
	touch(&m, NPAGES - 1, true);
	madvise(m.base, 50 * MEM_PAGE_SIZE, MADV_PAGEOUT);
	madvise(m.base, (size_t)NPAGES * MEM_PAGE_SIZE, MADV_DONTNEED);
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 0), 3));
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 5), 5));
	cr_expect(eq(u64, seek(&m, SEEK_HOLE, 5), 7));
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 7), 100));
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 101), NPAGES - 1));
	cr_expect(eq(u64, seek(&m, SEEK_HOLE, NPAGES - 1), NPAGES));
	cr_expect(eq(u64, seek(&m, SEEK_DATA, NPAGES), NPAGES + 1));
	madvise(m.base + 3 * MEM_PAGE_SIZE, 2 * MEM_PAGE_SIZE, MADV_REMOVE);
	cr_expect(eq(u64, seek(&m, SEEK_DATA, 0), 5));
	mapping_free(&m);
}

Test(pages, what_is_no_memfd_is_refused)
{
	struct err err = { 0 };
	uint64_t page = 0;

	cr_expect(eq(int, pages_seek(-1, SEEK_DATA, &page, &err), -EBADF));
	cr_expect(eq(str, err.text, "lseek to the pages of a memfd: Bad file descriptor"));
}

Test(pages, bits)
{
	uint64_t bitmap[2] = { 0 };

	cr_expect(eq(sz, pages_bitmap_size(1), 8));
	cr_expect(eq(sz, pages_bitmap_size(65), 16));
	pages_set(bitmap, 64);
	cr_expect(eq(u64, bitmap[1], 1));
	cr_expect(pages_test(bitmap, 64));
	pages_clear(bitmap, 64);
	cr_expect(eq(u64, bitmap[1], 0));
}
