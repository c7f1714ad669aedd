/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/bytes.h"

#include "guest/kindling/layout.h"

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep movsb" : "+D"(d), "+S"(src), "+c"(n)::"memory");
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	uint8_t *d = (uint8_t *)dst + n;
	const uint8_t *s = (const uint8_t *)src + n;

	if ((uintptr_t)dst - (uintptr_t)src >= n)
		return memcpy(dst, src, n);
	while (n--) {
		*--d = *--s;
		__asm__ volatile("" ::: "memory"); /* not to be turned into memmove */
	}
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	void *d = dst;

	__asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(c) : "memory");
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (; n; n--, x++, y++)
		if (*x != *y)
			return *x < *y ? -1 : 1;
	return 0;
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p) {
		p++;
		__asm__ volatile("" ::: "memory"); /* not to be turned into strlen */
	}
	return (size_t)(p - s);
}

static int page_is_zero(const uint64_t *page)
{
	for (unsigned int i = 0; i < LAYOUT_PAGE / 8; i += 8)
		if (page[i] | page[i + 1] | page[i + 2] | page[i + 3] | page[i + 4] |
		    page[i + 5] | page[i + 6] | page[i + 7])
			return 0;
	return 1;
}

void bytes_clear_pages(void *start, uint64_t size)
{
	uint8_t *p = start;

	for (uint8_t *end = p + size; p < end; p += LAYOUT_PAGE)
		if (!page_is_zero((const uint64_t *)(void *)p))
			memset(p, 0, LAYOUT_PAGE);
}
