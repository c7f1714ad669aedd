/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/sigv4_canonical.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/err.h"

/* The text goes straight into the digest; the first failure stays. */
struct sink {
	struct digest_stream digest;
	int ret;
	struct err *err;
};

static void put(struct sink *s, const char *bytes, size_t len)
{
	if (s->ret == 0 && len > 0)
		s->ret = digest_add(&s->digest, bytes, len, s->err);
}

static void put_text(struct sink *s, const char *text)
{
	put(s, text, strlen(text));
}

/* ---- path and query ---- */

/* The escape of @c in @out, or @c itself where it needs none; @also is one more of those. */
static size_t escape(unsigned char c, char also, char out[3])
{
	static const char digits[] = "0123456789ABCDEF";

	out[0] = (char)c;
	if (isalnum(c) || strchr("-_.~", c) || c == (unsigned char)also)
		return 1;
	out[0] = '%';
	out[1] = digits[c >> 4];
	out[2] = digits[c & 15];
	return 3;
}

/* What was sent is escaped once more: all services but S3 have it so. */
static void put_path(struct sink *s, struct uri_part path)
{
	char text[3];

	for (size_t i = 0; i < path.len; i++)
		put(s, text, escape((unsigned char)path.at[i], '/', text));
}

struct pair {
	char *text; /* "NAME=VALUE", both escaped in the canonical way; "=" sorts as NUL would */
	size_t name_len;
};

static int compare(const void *a, const void *b)
{
	const struct pair *x = a, *y = b;
	int order = memcmp(x->text, y->text, MIN(x->name_len, y->name_len));

	if (order != 0)
		return order;
	if (x->name_len != y->name_len)
		return x->name_len < y->name_len ? -1 : 1;
	return strcmp(x->text + x->name_len, y->text + y->name_len);
}

/* Decode @part and escape it in the canonical way. Returns the end, NULL: escaped badly. */
static char *append(char *at, struct uri_part part, char *scratch)
{
	int len = uri_decode(part, false, scratch, part.len + 1);

	if (len < 0)
		return NULL;
	for (int i = 0; i < len; i++)
		at += escape((unsigned char)scratch[i], '-', at);
	return at;
}

static int make_pair(struct pair *p, struct uri_part name, struct uri_part value,
		     struct err *err)
{
	size_t len = name.len + value.len;
	/* Escaped, a byte takes three; behind that is room for one part decoded. */
	size_t text_size = 3 * len + 2;
	char *at, *scratch;

	p->text = malloc(text_size + len + 1);
	if (!p->text)
		return err_set(err, ENOMEM, "no memory for a query");
	scratch = p->text + text_size;
	at = append(p->text, name, scratch);
	if (at) {
		p->name_len = (size_t)(at - p->text);
		*at++ = '=';
		at = append(at, value, scratch);
	}
	if (!at) {
		free(p->text);
		return err_set(err, EINVAL, "The query string is escaped badly");
	}
	*at = '\0';
	return 0;
}

static int read_pairs(struct pair pairs[SIGV4_MAX_PAIRS], size_t *n, struct uri_part rest,
		      bool is_presigned, struct err *err)
{
	struct uri_part name, value;
	int ret = 0;

	while (ret == 0 && uri_next_pair(&rest, &name, &value)) {
		if (is_presigned && uri_is(name, "X-Amz-Signature"))
			continue;
		if (*n == SIGV4_MAX_PAIRS)
			return err_set(err, EINVAL, "more than %u parameters in the query",
				       SIGV4_MAX_PAIRS);
		ret = make_pair(&pairs[*n], name, value, err);
		*n += ret == 0;
	}
	return ret;
}

static void put_query(struct sink *s, struct uri_part query, bool is_presigned)
{
	struct pair pairs[SIGV4_MAX_PAIRS];
	size_t n = 0;
	int ret = read_pairs(pairs, &n, query, is_presigned, s->err);

	if (ret < 0)
		s->ret = ret;
	qsort(pairs, n, sizeof(pairs[0]), compare);
	for (size_t i = 0; i < n; i++) {
		put_text(s, i > 0 ? "&" : "");
		put_text(s, pairs[i].text);
		free(pairs[i].text);
	}
}

/* ---- headers ---- */

struct lookup {
	struct sink *sink;
	struct uri_part name;
	bool is_found;
};

/* Without blanks at its ends, and with one in place of several. */
static void put_value(struct sink *s, const char *value)
{
	const char *word = value;

	for (;;) {
		size_t blanks = strspn(word, " \t");
		size_t len = strcspn(word + blanks, " \t");

		if (len == 0)
			return;
		put_text(s, word > value ? " " : "");
		put(s, word + blanks, len);
		word += blanks + len;
	}
}

static bool on_header(void *data, const char *name, const char *value)
{
	struct lookup *l = data;

	if (strlen(name) != l->name.len || strncasecmp(name, l->name.at, l->name.len) != 0)
		return true;
	put_text(l->sink, l->is_found ? "," : "");
	put_value(l->sink, value);
	l->is_found = true;
	return true;
}

static void put_headers(struct sink *s, const struct sigv4_request *r,
			const struct sigv4_claim *c)
{
	const char *at = c->signed_headers;

	while (s->ret == 0 && *at) {
		struct lookup l = { .sink = s, .name = { at, strcspn(at, ";") } };

		put(s, at, l.name.len);
		put_text(s, ":");
		r->headers(r->source, on_header, &l);
		put_text(s, "\n");
		if (!l.is_found)
			s->ret = err_set(s->err, EINVAL, "Signed header '%.*s' is not there",
					 (int)MIN(l.name.len, 60u), at);
		at += l.name.len + (at[l.name.len] == ';');
	}
}

int sigv4_canonical(struct digest *out, const struct sigv4_request *r,
		    const struct sigv4_claim *c, struct err *err)
{
	struct sink s = { .err = err };

	s.ret = digest_begin(&s.digest, err);
	put_text(&s, r->method);
	put_text(&s, "\n");
	put_path(&s, r->uri->path);
	put_text(&s, "\n");
	if (s.ret == 0)
		put_query(&s, r->uri->query, c->is_presigned);
	put_text(&s, "\n");
	put_headers(&s, r, c);
	put_text(&s, "\n");
	put_text(&s, c->signed_headers);
	put_text(&s, "\n");
	put_text(&s, r->payload);
	if (s.ret == 0)
		s.ret = digest_end(&s.digest, out, err);
	digest_drop(&s.digest);
	return s.ret;
}
