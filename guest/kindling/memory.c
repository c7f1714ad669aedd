/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/memory.h"

#include <linux/errno.h>
#include <linux/mman.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/contents.h"
#include "guest/kindling/file.h"
#include "guest/kindling/log.h"
#include "guest/kindling/program.h"
#include "guest/kindling/tables.h"
#include "guest/kindling/tree.h"
#include "guest/kindling/user.h"

static uint64_t *used;	/* bit n: somebody has page n of the arena */
static uint64_t *ours;	/* bit n: it is kindling itself */
static uint64_t npages; /* of the arena */
static uint64_t nfree;
static uint64_t brk_end; /* bytes from the arena's start: where the heap ends */

static int bit_get(const uint64_t *map, uint64_t page)
{
	return (map[page / 64] >> page % 64 & 1) != 0;
}

static int page_used(uint64_t page)
{
	return bit_get(used, page);
}

static void pages_take(uint64_t page, uint64_t n)
{
	for (; n; n--, page++) {
		nfree -= !page_used(page);
		used[page / 64] |= 1ull << page % 64;
	}
}

static void *page_address(uint64_t page)
{
	return (void *)(LAYOUT_ARENA + page * LAYOUT_PAGE);
}

static void page_free(uint64_t page)
{
	bytes_clear_pages(page_address(page), LAYOUT_PAGE);
	used[page / 64] &= ~(1ull << page % 64);
	nfree++;
}

/* What the program gives back: only what is its own. */
static void pages_give_back(uint64_t page, uint64_t n)
{
	for (; n; n--, page++)
		if (page_used(page) && !bit_get(ours, page))
			page_free(page);
}

/* Is one of the @n pages from @page up kindling's? */
static int pages_ours(uint64_t page, uint64_t n)
{
	for (; n; n--, page++)
		if (bit_get(ours, page))
			return 1;
	return 0;
}

/* How many of the @n pages from @page up are in state @state, without a gap? */
static uint64_t pages_run(uint64_t page, uint64_t n, int state)
{
	uint64_t i = 0;

	while (i < n && page + i < npages && page_used(page + i) == state)
		i++;
	return i;
}

/* The highest @n free pages in a row. Returns the first one, or npages. */
static uint64_t pages_find(uint64_t n)
{
	uint64_t run = 0, page = npages;

	if (n > nfree)
		return npages;
	while (page > 0) {
		if (page % 64 == 0 && used[page / 64 - 1] == ~0ull) {
			page -= 64;
			run = 0;
			continue;
		}
		page--;
		run = page_used(page) ? 0 : run + 1;
		if (run == n)
			return page;
	}
	return npages;
}

/*
 * The pages of [@addr, @addr + @size), whose size is rounded up. Returns 0, -EINVAL when
 * @addr is not aligned or there is no byte, or -ENOMEM when not all are in the arena.
 */
static int pages_of(uint64_t addr, uint64_t size, uint64_t *page, uint64_t *n)
{
	if (addr % LAYOUT_PAGE || size == 0)
		return -EINVAL;
	*page = (addr - LAYOUT_ARENA) / LAYOUT_PAGE;
	*n = size / LAYOUT_PAGE + (size % LAYOUT_PAGE != 0);
	if (addr < LAYOUT_ARENA || *page > npages || *n > npages - *page)
		return -ENOMEM;
	return 0;
}

void memory_init(void)
{
	uint64_t words;

	npages = nfree = program.arena_size / LAYOUT_PAGE;
	words = (npages + 63) / 64;
	used = tables_take((2 * words * 8 + LAYOUT_PAGE - 1) / LAYOUT_PAGE, "the memory map");
	ours = used + words;
}

void *memory_take(uint64_t n)
{
	uint64_t page = pages_find(n);

	if (page == npages)
		return NULL;
	pages_take(page, n);
	for (uint64_t i = 0; i < n; i++)
		ours[(page + i) / 64] |= 1ull << (page + i) % 64;
	return page_address(page);
}

void memory_give_back(void *p, uint64_t n)
{
	uint64_t page = ((uintptr_t)p - LAYOUT_ARENA) / LAYOUT_PAGE;

	for (; p && n; n--, page++) {
		ours[page / 64] &= ~(1ull << page % 64);
		page_free(page);
	}
}

int memory_is_ours(uint64_t addr, uint64_t size)
{
	uint64_t first = (addr - LAYOUT_ARENA) / LAYOUT_PAGE;
	uint64_t last = (addr + size - 1 - LAYOUT_ARENA) / LAYOUT_PAGE;

	return pages_ours(first, last - first + 1);
}

uint64_t memory_free(void)
{
	return nfree * LAYOUT_PAGE;
}

uint64_t memory_heap_end(void)
{
	return LAYOUT_ARENA + brk_end;
}

int64_t memory_brk(const struct regs *r)
{
	uint64_t want = r->rdi - LAYOUT_ARENA;
	uint64_t old_pages = (brk_end + LAYOUT_PAGE - 1) / LAYOUT_PAGE;
	uint64_t new_pages = (want + LAYOUT_PAGE - 1) / LAYOUT_PAGE;
	uint64_t more = new_pages - old_pages;

	if (r->rdi < LAYOUT_ARENA || want > program.arena_size)
		return (int64_t)(LAYOUT_ARENA + brk_end);
	if (new_pages < old_pages)
		pages_give_back(new_pages, old_pages - new_pages);
	else if (pages_run(old_pages, more, 0) < more)
		return (int64_t)(LAYOUT_ARENA + brk_end);
	else
		pages_take(old_pages, more);
	brk_end = want;
	return (int64_t)r->rdi;
}

/* Where the program insists: whatever is there goes away. */
static int64_t map_fixed(uint64_t addr, uint64_t size, uint64_t flags)
{
	uint64_t page, n;
	int ret = pages_of(addr, size, &page, &n);

	if (ret < 0)
		return ret;
	if (flags & MAP_FIXED_NOREPLACE && pages_run(page, n, 0) < n)
		return -EEXIST;
	if (pages_ours(page, n))
		return -ENOMEM;
	pages_give_back(page, n);
	pages_take(page, n);
	return (int64_t)addr;
}

static int64_t map_anywhere(uint64_t size)
{
	uint64_t n = size / LAYOUT_PAGE + (size % LAYOUT_PAGE != 0);
	uint64_t page = pages_find(n);

	if (page == npages)
		return -ENOMEM;
	pages_take(page, n);
	return (int64_t)page_address(page);
}

static int refuse_exec(uint64_t prot)
{
	static int said;

	if (!(prot & PROT_EXEC))
		return 0;
	if (!said)
		log_line("memory made at run time cannot be executable here: EACCES");
	said = 1;
	return -EACCES;
}

/* A shared mapping shows what others write, and is seen by them: a copy does neither. */
static int refuse_shared(const struct node *file)
{
	static int said;

	if (!file->writable)
		return -EACCES;
	if (!said)
		log_line("files cannot be mapped shared and writable here: ENODEV");
	said = 1;
	return -ENODEV;
}

/* mmap(addr, size, prot, flags, fd, offset) */
int64_t memory_map(const struct regs *r)
{
	uint64_t size = r->rsi, prot = r->rdx, flags = r->r10, offset = r->r9;
	const struct node *file = NULL;
	int64_t addr;
	int ret;

	if (size == 0 || offset % LAYOUT_PAGE ||
	    ((flags & MAP_TYPE) != MAP_PRIVATE && (flags & MAP_TYPE) != MAP_SHARED &&
	     (flags & MAP_TYPE) != MAP_SHARED_VALIDATE))
		return -EINVAL;
	ret = refuse_exec(prot);
	if (ret < 0)
		return ret;
	if (!(flags & MAP_ANONYMOUS)) {
		ret = file_mappable(r->r8, &file);
		if (ret < 0)
			return ret;
		if ((flags & MAP_TYPE) != MAP_PRIVATE && prot & PROT_WRITE)
			return refuse_shared(file);
	}
	addr = flags & (MAP_FIXED | MAP_FIXED_NOREPLACE) ? map_fixed(r->rdi, size, flags)
							 : map_anywhere(size);
	if (addr >= 0 && file)
		contents_read(file, (void *)addr, size, offset);
	return addr;
}

/* Unmapping what is outside the arena (a part of the program or its stack) is accepted and
 * changes nothing. */
int64_t memory_unmap(const struct regs *r)
{
	uint64_t page, n;
	int ret = pages_of(r->rdi, r->rsi, &page, &n);

	if (ret == 0)
		pages_give_back(page, n);
	else if (ret == -ENOMEM && user_can_read(r->rdi, r->rsi))
		ret = 0;
	return ret == -ENOMEM ? -EINVAL : ret;
}

/* mremap(old, old_size, new_size, flags) */
int64_t memory_remap(const struct regs *r)
{
	uint64_t page, n, want = r->rdx / LAYOUT_PAGE + (r->rdx % LAYOUT_PAGE != 0);
	int64_t addr;

	if (pages_of(r->rdi, r->rsi, &page, &n) || want == 0 ||
	    r->r10 & ~(uint64_t)MREMAP_MAYMOVE)
		return -EINVAL;
	if (pages_run(page, n, 1) < n || pages_ours(page, n))
		return -EFAULT;
	if (want <= n) {
		pages_give_back(page + want, n - want);
		return (int64_t)r->rdi;
	}
	if (pages_run(page + n, want - n, 0) == want - n) {
		pages_take(page + n, want - n);
		return (int64_t)r->rdi;
	}
	if (!(r->r10 & MREMAP_MAYMOVE))
		return -ENOMEM;
	addr = map_anywhere(r->rdx);
	if (addr < 0)
		return addr;
	memcpy((void *)addr, page_address(page), n * LAYOUT_PAGE);
	pages_give_back(page, n);
	return addr;
}

int64_t memory_protect(const struct regs *r)
{
	uint64_t size = bytes_round_up(r->rsi, LAYOUT_PAGE);

	if (r->rdi % LAYOUT_PAGE || size < r->rsi)
		return -EINVAL;
	if (!user_can_read(r->rdi, size))
		return -ENOMEM;
	return r->rdi >= LAYOUT_ARENA ? refuse_exec(r->rdx) : 0;
}

int64_t memory_advise(const struct regs *r)
{
	uint64_t page, n;
	int ret = pages_of(r->rdi, r->rsi, &page, &n);

	if (r->rdi % LAYOUT_PAGE)
		return -EINVAL;
	if (r->rdx != MADV_DONTNEED || r->rsi == 0)
		return 0; /* all other advice can be ignored */
	if (ret < 0)
		return ret;
	for (uint64_t i = 0; i < n; i++)
		if (page_used(page + i) && !bit_get(ours, page + i))
			bytes_clear_pages(page_address(page + i), LAYOUT_PAGE);
	return 0;
}
