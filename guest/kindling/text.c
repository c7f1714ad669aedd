/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/text.h"

#include <stdint.h>

struct text {
	char *buf;
	size_t size; /* room, without the NUL */
	size_t len;
};

static void text_char(struct text *t, char c)
{
	if (t->len < t->size)
		t->buf[t->len++] = c;
}

static void text_string(struct text *t, const char *s)
{
	while (*s)
		text_char(t, *s++);
}

static void text_number(struct text *t, uint64_t n, unsigned int base)
{
	char digits[20]; /* 2^64 in base 10 */
	unsigned int i = 0;

	do {
		digits[i++] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	while (i)
		text_char(t, digits[--i]);
}

static void text_signed(struct text *t, int64_t n)
{
	if (n < 0)
		text_char(t, '-');
	text_number(t, n < 0 ? -(uint64_t)n : (uint64_t)n, 10);
}

/* The analyser does not see that the caller started the list. */
/* NOLINTBEGIN(clang-analyzer-valist.Uninitialized) */
size_t text_vprint(char *buf, size_t size, const char *fmt, va_list args)
{
	struct text t = { .buf = buf, .size = size ? size - 1 : 0 };

	for (; *fmt; fmt++) {
		int is_long = 0;

		if (*fmt != '%') {
			text_char(&t, *fmt);
			continue;
		}
		while (*++fmt == 'l')
			is_long = 1;
		if (*fmt == 's')
			text_string(&t, va_arg(args, const char *));
		else if (*fmt == 'd')
			text_signed(&t, is_long ? va_arg(args, long) : va_arg(args, int));
		else if (*fmt == 'u' || *fmt == 'x')
			text_number(&t,
				    is_long ? va_arg(args, unsigned long)
					    : va_arg(args, unsigned int),
				    *fmt == 'x' ? 16 : 10);
		else
			text_char(&t, *fmt);
	}
	if (size)
		buf[t.len] = '\0';
	return t.len;
}
/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

size_t text_print(char *buf, size_t size, const char *fmt, ...)
{
	va_list args;
	size_t len;

	va_start(args, fmt);
	len = text_vprint(buf, size, fmt, args);
	va_end(args);
	return len;
}
