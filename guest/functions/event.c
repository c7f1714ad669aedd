/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/functions/event.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_CAPACITY ((size_t)64 * 1024) /* ours: a longer event makes the buffer grow */

static int event_grow(struct event *e, size_t cap)
{
	char *text = realloc(e->text, cap);

	if (!text)
		return -ENOMEM;
	e->text = text;
	e->cap = cap;
	return 0;
}

int event_init(struct event *e)
{
	return event_grow(e, FIRST_CAPACITY);
}

int event_read(struct event *e)
{
	ssize_t n = read(3, e->text, e->cap - 1);
	off_t end = lseek(3, 0, SEEK_END);
	size_t size = end < n ? (size_t)n : (size_t)end;

	if (n < 0)
		return -errno;
	if (size >= e->cap && event_grow(e, size + 1) < 0)
		return -ENOMEM;
	for (e->size = (size_t)n; e->size < size; e->size += (size_t)n) {
		n = read(3, e->text + e->size, size - e->size);
		if (n < 0)
			return -errno;
	}
	while (e->size && isspace((unsigned char)e->text[e->size - 1]))
		e->size--;
	e->text[e->size] = '\0';
	return 0;
}

void event_fini(struct event *e)
{
	free(e->text);
}
