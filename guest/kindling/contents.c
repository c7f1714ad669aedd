/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/contents.h"

#include <linux/errno.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/tree.h"

#define SIZE_MAX_FILE ((uint64_t)INT64_MAX)
#define PER_PAGE      (LAYOUT_PAGE / sizeof(uint8_t *)) /* pointers in a page */

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* The page with byte @pos, or NULL: all zero. */
static uint8_t *page_at(const struct node *n, uint64_t pos)
{
	return pos / LAYOUT_PAGE < n->npages ? n->pages[pos / LAYOUT_PAGE] : NULL;
}

/* Make the list long enough for page number @index. Returns 0 or -ENOSPC. */
static int list_grow(struct node *n, uint64_t index)
{
	uint64_t want = n->npages ? n->npages : PER_PAGE;
	uint8_t **pages;

	if (index < n->npages)
		return 0;
	while (want <= index)
		want *= 2;
	pages = memory_take(want / PER_PAGE);
	if (!pages)
		return -ENOSPC;
	if (n->npages)
		memcpy(pages, n->pages, n->npages * sizeof(*pages));
	memory_give_back(n->pages, n->npages / PER_PAGE);
	n->pages = pages;
	n->npages = want;
	return 0;
}

/* The page with byte @pos, taken if need be, or NULL: no memory. */
static uint8_t *page_take(struct node *n, uint64_t pos)
{
	uint64_t index = pos / LAYOUT_PAGE;

	if (list_grow(n, index))
		return NULL;
	if (!n->pages[index])
		n->pages[index] = memory_take(1);
	return n->pages[index];
}

static int64_t write_pages(struct node *n, const uint8_t *src, uint64_t size, uint64_t pos)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t at = (pos + done) % LAYOUT_PAGE;
		uint64_t part = min(LAYOUT_PAGE - at, size - done);
		uint8_t *page = page_take(n, pos + done);

		if (!page)
			break;
		memcpy(page + at, src + done, part);
		done += part;
	}
	if (done && pos + done > n->size)
		n->size = pos + done;
	return done || !size ? (int64_t)done : -ENOSPC;
}

/* Move what lies in the archive to pages, so that it can be changed. */
static int contents_own(struct node *n)
{
	const uint8_t *data = n->data;
	uint64_t size = n->size;

	if (!data)
		return 0;
	n->data = NULL;
	n->size = 0;
	if (write_pages(n, data, size, 0) == (int64_t)size)
		return 0;
	contents_resize(n, 0);
	n->data = data;
	n->size = size;
	return -ENOSPC;
}

uint64_t contents_read(const struct node *n, void *dst, uint64_t size, uint64_t pos)
{
	uint64_t total = pos < n->size ? min(size, n->size - pos) : 0;
	uint8_t *d = dst;

	if (n->data) {
		memcpy(d, n->data + pos, total);
		return total;
	}
	for (uint64_t done = 0, part; done < total; done += part) {
		uint64_t at = (pos + done) % LAYOUT_PAGE;
		const uint8_t *page = page_at(n, pos + done);

		part = min(LAYOUT_PAGE - at, total - done);
		if (page)
			memcpy(d + done, page + at, part);
		else
			memset(d + done, 0, part);
	}
	return total;
}

int64_t contents_write(struct node *n, const void *src, uint64_t size, uint64_t pos)
{
	int ret = contents_own(n);

	if (ret < 0)
		return ret;
	if (pos > SIZE_MAX_FILE || size > SIZE_MAX_FILE - pos)
		return -EFBIG;
	return write_pages(n, src, size, pos);
}

int contents_resize(struct node *n, uint64_t size)
{
	uint64_t keep = (size + LAYOUT_PAGE - 1) / LAYOUT_PAGE;
	uint8_t *last;
	int ret = 0;

	if (size > SIZE_MAX_FILE)
		return -EFBIG;
	if (size == 0)
		n->data = NULL;
	else
		ret = contents_own(n);
	if (ret < 0)
		return ret;
	for (uint64_t i = keep; i < n->npages; i++) {
		memory_give_back(n->pages[i], 1);
		n->pages[i] = NULL;
	}
	last = page_at(n, size);
	if (last && size < n->size)
		memset(last + size % LAYOUT_PAGE, 0, LAYOUT_PAGE - size % LAYOUT_PAGE);
	if (size == 0) {
		memory_give_back(n->pages, n->npages / PER_PAGE);
		n->pages = NULL;
		n->npages = 0;
	}
	n->size = size;
	return 0;
}

uint64_t contents_used(const struct node *n)
{
	uint64_t used = 0;

	if (n->data)
		return n->kind == KIND_REGULAR ? n->size : 0;
	for (uint64_t i = 0; i < n->npages; i++)
		used += n->pages[i] ? LAYOUT_PAGE : 0;
	return used;
}
