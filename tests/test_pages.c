/* SPDX-License-Identifier: Apache-2.0 */
/* test_pages.c - which pages of a mapping are present, and which are copies, both ways to ask. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
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

static void find(struct mapping *m, enum pages_kind kind)
{
	struct err err = { 0 };

	memset(m->bitmap, 0, sizeof(m->bitmap));
	cr_assert(eq(int,
		     pages_find(&m->pages, kind, m->base, (uint64_t)NPAGES * MEM_PAGE_SIZE,
				m->bitmap, &err),
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
	find(m, PAGES_PRIVATE);
	for (uint64_t i = 0; i < NPAGES; i++)
		cr_assert(eq(int, pages_test(m->bitmap, i), i % 7 == 0), "page %lu", i);
	find(m, PAGES_PRESENT);
	for (uint64_t i = 0; i < NPAGES; i += 35)
		cr_assert(pages_test(m->bitmap, i));
	madvise(m->base + 7 * MEM_PAGE_SIZE, MEM_PAGE_SIZE, MADV_DONTNEED);
	find(m, PAGES_PRIVATE);
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

Test(pages, present_pages_of_a_shared_mapping)
{
	static struct mapping m;

	for (int scan = 0; scan <= 1; scan++) {
		mapping_make(&m, MAP_SHARED);
		m.pages.has_scan = m.pages.has_scan && scan;
		find(&m, PAGES_PRESENT);
		for (uint64_t i = 0; i < NPAGES; i++)
			cr_assert(not(pages_test(m.bitmap, i)));
		for (uint64_t i = 3; i < NPAGES; i += 2)
			touch(&m, i, true);
		find(&m, PAGES_PRESENT);
		for (uint64_t i = 0; i < NPAGES; i++)
			cr_assert(eq(int, pages_test(m.bitmap, i), i >= 3 && i % 2 == 1),
				  "page %lu", i);
		find(&m, PAGES_PRIVATE);
		for (uint64_t i = 0; i < NPAGES; i++)
			cr_assert(not(pages_test(m.bitmap, i)));
		mapping_free(&m);
	}
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
