/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/err.h"
#include "engine/mem.h"
#include "engine/uffd.h"

#define PAGES 16u
#define SIZE  (PAGES * MEM_PAGE_SIZE)

struct place {
	struct uffd u;
	uint8_t *mem;  /* PAGES pages, registered */
	uint8_t *from; /* as many, page i full of i + 1 */
};

static void place_make(struct place *p, enum uffd_mode mode)
{
	struct err err = { 0 };
	int ret = uffd_open(&p->u, mode, &err);

	if (ret == -EPERM || ret == -ENOSYS)
		cr_skip_test("%s", err.text);
	cr_assert(eq(int, ret, 0), "%s", err.text);
	p->mem = mmap(NULL, 2 * SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	cr_assert(p->mem != MAP_FAILED);
	p->from = p->mem + SIZE;
	for (uint32_t i = 0; i < PAGES; i++)
		memset(p->from + i * MEM_PAGE_SIZE, (int)i + 1, MEM_PAGE_SIZE);
	cr_assert(eq(int, uffd_register(&p->u, p->mem, SIZE, mode, &err), 0), "%s", err.text);
}

static void place_free(struct place *p)
{
	uffd_close(&p->u);
	munmap(p->mem, 2 * SIZE);
}

static uint8_t *page(const struct place *p, uint32_t i)
{
	return p->mem + i * MEM_PAGE_SIZE;
}

static struct uffd_fault next_fault(const struct place *p)
{
	struct pollfd pfd = { .fd = p->u.fd, .events = POLLIN };
	struct uffd_fault f;
	struct err err = { 0 };

	cr_assert(eq(int, poll(&pfd, 1, 10000), 1));
	cr_assert(eq(int, uffd_read(&p->u, &f, &err), 1), "%s", err.text);
	return f;
}

Test(uffd, nothing_is_read_when_nobody_waits)
{
	struct place p;
	struct uffd_fault f;
	struct err err = { 0 };

	place_make(&p, UFFD_MISSING);
	cr_expect(eq(int, uffd_read(&p.u, &f, &err), 0), "%s", err.text);
	place_free(&p);
}

Test(uffd, a_run_is_copied_around_pages_that_are_there)
{
	struct place p;
	struct err err = { 0 };

	place_make(&p, UFFD_MISSING);
	cr_assert(eq(int, uffd_copy(&p.u, page(&p, 3), p.from, MEM_PAGE_SIZE, 0, &err), 0));
	cr_assert(eq(int, uffd_zero(&p.u, page(&p, 7), MEM_PAGE_SIZE, &err), 0));
	cr_assert(eq(int, uffd_copy(&p.u, p.mem, p.from, SIZE, 0, &err), 0), "%s", err.text);
	for (uint32_t i = 0; i < PAGES; i++) {
		uint8_t want = i == 3 ? 1 : i == 7 ? 0 : (uint8_t)(i + 1);

		cr_expect(eq(u8, *page(&p, i), want), "page %u", i);
		cr_expect(eq(u8, page(&p, i)[MEM_PAGE_SIZE - 1], want), "page %u", i);
	}
	cr_expect(eq(int, uffd_zero(&p.u, p.mem, SIZE, &err), 0), "all there: %s", err.text);
	cr_expect(eq(u8, *page(&p, 0), 1));
	place_free(&p);
}

Test(uffd, a_range_that_is_not_registered_is_refused_with_a_sentence)
{
	struct place p;
	struct err err = { 0 };

	place_make(&p, UFFD_MISSING);
	cr_expect(eq(int, uffd_copy(&p.u, p.from, p.mem, MEM_PAGE_SIZE, 0, &err), -ENOENT));
	cr_expect(ne(ptr, strstr(err.text, "UFFDIO_COPY of 4096 bytes"), NULL), "%s", err.text);
	place_free(&p);
}

static void *read_byte(void *arg)
{
	return (void *)(uintptr_t) * (volatile uint8_t *)arg;
}

static void *write_byte(void *arg)
{
	*(volatile uint8_t *)arg = 99;
	return arg;
}

Test(uffd, who_touches_a_missing_page_waits_until_it_is_placed, .timeout = 30)
{
	struct place p;
	struct uffd_fault f;
	struct err err = { 0 };
	pthread_t thread;
	void *got;

	place_make(&p, UFFD_MISSING);
	cr_assert(eq(int, pthread_create(&thread, NULL, read_byte, page(&p, 5) + 17), 0));
	f = next_fault(&p);
	cr_expect(eq(ptr, f.page, page(&p, 5)));
	cr_expect(eq(int, f.write, 0));
	cr_expect(eq(int, f.wp, 0));
	cr_assert(eq(int, uffd_copy(&p.u, f.page, p.from, MEM_PAGE_SIZE, 0, &err), 0));
	cr_assert(eq(int, pthread_join(thread, &got), 0));
	cr_expect(eq(ptr, got, (void *)1));
	place_free(&p);
}

Test(uffd, a_write_to_a_protected_page_is_a_fault_of_its_own, .timeout = 30)
{
	struct place p;
	struct uffd_fault f;
	struct err err = { 0 };
	pthread_t thread;

	place_make(&p, UFFD_WP);
	cr_assert(eq(int, uffd_copy(&p.u, p.mem, p.from, SIZE, UFFD_WP, &err), 0));
	cr_expect(eq(u8, *page(&p, 2), 3), "reading needs no leave");
	cr_assert(eq(int, pthread_create(&thread, NULL, write_byte, page(&p, 2)), 0));
	f = next_fault(&p);
	cr_expect(eq(ptr, f.page, page(&p, 2)));
	cr_expect(eq(int, f.write, 1));
	cr_expect(eq(int, f.wp, 1));
	cr_assert(eq(int, uffd_unprotect(&p.u, f.page, MEM_PAGE_SIZE, &err), 0));
	pthread_join(thread, NULL);
	cr_expect(eq(u8, *page(&p, 2), 99));
	place_free(&p);
}

Test(uffd, unregistered_what_is_missing_is_zero)
{
	struct place p;
	struct err err = { 0 };

	place_make(&p, UFFD_MISSING);
	cr_assert(eq(int, uffd_copy(&p.u, p.mem, p.from, MEM_PAGE_SIZE, 0, &err), 0));
	cr_assert(eq(int, uffd_unregister(&p.u, p.mem, SIZE, &err), 0), "%s", err.text);
	cr_expect(eq(u8, *page(&p, 0), 1));
	cr_expect(eq(u8, *page(&p, 1), 0));
	place_free(&p);
}
