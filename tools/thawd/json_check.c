/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/json_check.h"

#include <string.h>

struct text {
	const uint8_t *at, *end;
	unsigned depth;
};

static bool value(struct text *t);

static int peek(const struct text *t)
{
	return t->at < t->end ? *t->at : -1;
}

static bool take(struct text *t, int c)
{
	bool is = peek(t) == c;

	t->at += is;
	return is;
}

static void blanks(struct text *t)
{
	while (t->at < t->end && *t->at && strchr(" \t\n\r", *t->at))
		t->at++;
}

static bool word(struct text *t, const char *w)
{
	size_t len = strlen(w);
	bool is = (size_t)(t->end - t->at) >= len && memcmp(t->at, w, len) == 0;

	t->at += is ? len : 0;
	return is;
}

static bool in(int c, int first, int last)
{
	return c >= first && c <= last;
}

static bool digits(struct text *t)
{
	const uint8_t *begin = t->at;

	while (in(peek(t), '0', '9'))
		t->at++;
	return t->at > begin;
}

static bool number(struct text *t)
{
	take(t, '-');
	if (!take(t, '0') && !digits(t))
		return false;
	if (take(t, '.') && !digits(t))
		return false;
	if (!take(t, 'e') && !take(t, 'E'))
		return true;
	if (!take(t, '+'))
		take(t, '-');
	return digits(t);
}

static bool escape(struct text *t)
{
	int c = peek(t);

	if (c < 0 || !strchr("\"\\/bfnrtu", c) || c == 0)
		return false;
	t->at++;
	for (int i = 0; c == 'u' && i < 4; i++, t->at++)
		if (!in(peek(t), '0', '9') && !in(peek(t) | 0x20, 'a', 'f'))
			return false;
	return true;
}

/* One character of more than one byte (RFC 3629): the bounds of its second byte keep out
 * overlong forms, surrogates and what is beyond U+10FFFF. */
static bool wide(struct text *t)
{
	int c = *t->at++;
	int more = in(c, 0xc2, 0xdf) ? 1 : in(c, 0xe0, 0xef) ? 2 : in(c, 0xf0, 0xf4) ? 3 : 0;
	int low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	int high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;

	for (int i = 0; i < more; i++, t->at++) {
		if (!in(peek(t), low, high))
			return false;
		low = 0x80;
		high = 0xbf;
	}
	return more > 0;
}

static bool string(struct text *t)
{
	if (!take(t, '"'))
		return false;
	while (t->at < t->end && *t->at >= 0x20) {
		if (take(t, '"'))
			return true;
		if (*t->at >= 0x80) {
			if (!wide(t))
				return false;
		} else if (*t->at++ == '\\' && !escape(t)) {
			return false;
		}
	}
	return false;
}

static bool member(struct text *t)
{
	blanks(t);
	if (!string(t))
		return false;
	blanks(t);
	return take(t, ':') && value(t);
}

/* What is behind the bracket that opens, up to the one that closes. */
static bool list(struct text *t, bool (*item)(struct text *t), int close)
{
	if (++t->depth > JSON_CHECK_DEPTH)
		return false;
	blanks(t);
	if (!take(t, close)) {
		do {
			if (!item(t))
				return false;
		} while (take(t, ','));
		if (!take(t, close))
			return false;
	}
	t->depth--;
	return true;
}

/* With the blanks around it. Depth of recursion: JSON_CHECK_DEPTH. */
static bool value(struct text *t)
{
	bool ok;

	blanks(t);
	if (take(t, '{')) {
		ok = list(t, member, '}');
	} else if (take(t, '[')) {
		ok = list(t, value, ']');
	} else if (peek(t) == '"') {
		ok = string(t);
	} else {
		ok = word(t, "true") || word(t, "false") || word(t, "null") || number(t);
	}
	blanks(t);
	return ok;
}

bool json_check(const uint8_t *text, size_t len, size_t *where)
{
	struct text t = { text, text + len, 0 };
	bool ok = len > 0 && value(&t) && t.at == t.end;

	*where = len > 0 ? (size_t)(t.at - text) : 0;
	return ok;
}
