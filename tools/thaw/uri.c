/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/uri.h"

#include <errno.h>
#include <string.h>

struct uri_part uri_cut(struct uri_part *rest, char separator)
{
	struct uri_part first = *rest;
	const char *at = memchr(rest->at, separator, rest->len);

	if (at)
		first.len = (size_t)(at - rest->at);
	rest->at += first.len + (at != NULL);
	rest->len -= first.len + (at != NULL);
	return first;
}

int uri_split(struct uri *u, const char *target)
{
	struct uri_part rest = { target, strlen(target) };

	*u = (struct uri){ .path = uri_cut(&rest, '?') };
	u->query = rest;
	if (u->path.len == 0 || u->path.at[0] != '/')
		return -EINVAL;
	rest = (struct uri_part){ u->path.at + 1, u->path.len - 1 };
	for (;;) {
		const char *end = rest.at + rest.len;

		if (u->nsegments == URI_MAX_SEGMENTS)
			return -E2BIG;
		u->segments[u->nsegments] = uri_cut(&rest, '/');
		/* "/a/" has an empty segment behind its last "/". */
		if (u->segments[u->nsegments].at + u->segments[u->nsegments].len == end)
			break;
		u->nsegments++;
	}
	u->nsegments++;
	return 0;
}

bool uri_next_pair(struct uri_part *rest, struct uri_part *name, struct uri_part *value)
{
	while (rest->len > 0) {
		*value = uri_cut(rest, '&');
		*name = uri_cut(value, '=');
		if (name->len > 0)
			return true;
	}
	return false;
}

bool uri_is(struct uri_part part, const char *text)
{
	return strlen(text) == part.len && memcmp(text, part.at, part.len) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The byte of "%XX" at @at, or -1. */
static int escaped(const char *at, const char *end)
{
	int high = end - at > 2 ? hex_digit(at[1]) : -1;
	int low = high >= 0 ? hex_digit(at[2]) : -1;

	return low < 0 ? -1 : high << 4 | low;
}

int uri_decode(struct uri_part part, bool is_form, char *out, size_t size)
{
	const char *end = part.at + part.len;
	size_t n = 0;

	for (const char *at = part.at; at < end; at++) {
		int c = (unsigned char)*at;

		if (c == '%') {
			c = escaped(at, end);
			at += 2;
		} else if (c == '+' && is_form) {
			c = ' ';
		}
		if (c == 0 || c == -1)
			return -EINVAL;
		if (n + 1 >= size)
			return -ENAMETOOLONG;
		out[n++] = (char)c;
	}
	if (size == 0)
		return -ENAMETOOLONG;
	out[n] = '\0';
	return (int)n;
}

int uri_parameter(const struct uri *u, const char *name, char *out, size_t size)
{
	struct uri_part rest = u->query, key, value;

	while (uri_next_pair(&rest, &key, &value))
		if (uri_is(key, name))
			return uri_decode(value, true, out, size);
	return uri_decode((struct uri_part){ "", 0 }, true, out, size);
}
