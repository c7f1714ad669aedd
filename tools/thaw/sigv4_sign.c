/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/sigv4_sign.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/err.h"

#define MAX_HEADERS 8u /* ours: no request of ours has more */
#define NAME_SIZE   64u

/* ---- the signature ---- */

static bool hmac(struct digest *out, const void *key, size_t key_len, const char *text)
{
	return HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text),
		    out->bytes, NULL) != NULL;
}

static bool signing_key(struct digest *key, const char *secret, const struct sigv4_claim *c)
{
	const char *const words[] = { c->region, c->service, SIGV4_TERMINATOR };
	char first[512];
	int len = snprintf(first, sizeof(first), "AWS4%s", secret);
	bool ok = len < (int)sizeof(first) && hmac(key, first, (size_t)len, c->day);

	for (size_t i = 0; ok && i < ARRAY_SIZE(words); i++)
		ok = hmac(key, key->bytes, sizeof(key->bytes), words[i]);
	OPENSSL_cleanse(first, sizeof(first));
	return ok;
}

bool sigv4_signature(struct digest *out, const struct sigv4_claim *c, const char *secret,
		     const struct digest *canonical)
{
	char text[256], hex[DIGEST_HEX_SIZE];
	struct digest key;
	bool ok;

	digest_hex(canonical, hex);
	snprintf(text, sizeof(text), "%s\n%s\n%s/%s/%s/%s\n%s", SIGV4_ALGORITHM, c->date,
		 c->day, c->region, c->service, SIGV4_TERMINATOR, hex);
	ok = signing_key(&key, secret, c) && hmac(out, key.bytes, sizeof(key.bytes), text);
	OPENSSL_cleanse(&key, sizeof(key));
	return ok;
}

/* ---- what is signed ---- */

struct source {
	const struct sigv4_what *what;
	const char *date;
};

/* "Name: value", into @name. Returns its value, NULL: it is no such line. */
static const char *split(const char *line, char name[NAME_SIZE])
{
	size_t len = strcspn(line, ":");

	if (len == 0 || len >= NAME_SIZE || line[len] != ':')
		return NULL;
	for (size_t i = 0; i < len; i++)
		name[i] = (char)tolower((unsigned char)line[i]);
	name[len] = '\0';
	return line + len + 1;
}

static void each_header(const void *data,
			bool (*each)(void *data, const char *name, const char *value), void *to)
{
	const struct source *s = data;
	char name[NAME_SIZE];

	if (!each(to, "host", s->what->host) || !each(to, "x-amz-date", s->date))
		return;
	for (const char *const *h = s->what->headers; h && *h; h++) {
		const char *value = split(*h, name);

		if (value && !each(to, name, value))
			return;
	}
}

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "a;b;c", in order. */
static int name_headers(struct sigv4_claim *c, const struct sigv4_what *what, struct err *err)
{
	char names[MAX_HEADERS][NAME_SIZE] = { "host", "x-amz-date" };
	size_t n = 2, at = 0;

	for (const char *const *h = what->headers; h && *h; h++) {
		if (n == MAX_HEADERS)
			return err_set(err, E2BIG, "more than %u headers", MAX_HEADERS);
		if (!split(*h, names[n++]))
			return err_set(err, EINVAL, "'%.60s' is no header", *h);
	}
	qsort(names, n, NAME_SIZE, compare);
	_Static_assert(sizeof(c->signed_headers) >= sizeof(names), "room for all");
	for (size_t i = 0; i < n; i++)
		at += (size_t)sprintf(c->signed_headers + at, "%s%s", i > 0 ? ";" : "",
				      names[i]);
	return 0;
}

static bool copy(char *out, size_t size, const char *text)
{
	return (size_t)snprintf(out, size, "%s", text) < size;
}

static int make_claim(struct sigv4_claim *c, const struct sigv4_what *what,
		      const struct sigv4_key *key, struct err *err)
{
	time_t seconds = (time_t)what->seconds;
	struct tm tm;

	*c = (struct sigv4_claim){ .is_presigned = false };
	if (!gmtime_r(&seconds, &tm) ||
	    strftime(c->date, sizeof(c->date), "%Y%m%dT%H%M%SZ", &tm) != sizeof(c->date) - 1)
		return err_set(err, EINVAL, "the clock is out of its mind");
	memcpy(c->day, c->date, sizeof(c->day) - 1);
	if (!copy(c->key_id, sizeof(c->key_id), key->id) ||
	    !copy(c->region, sizeof(c->region), key->region) ||
	    !copy(c->service, sizeof(c->service), key->service))
		return err_set(err, EINVAL, "the name of a key or a region is too long");
	return name_headers(c, what, err);
}

static int find_signature(struct digest *out, const struct sigv4_claim *c,
			  const struct sigv4_what *what, const char *secret, struct err *err)
{
	const struct source source = { what, c->date };
	char payload[DIGEST_HEX_SIZE];
	struct digest digest;
	struct uri uri;
	const struct sigv4_request request = { .method = what->method,
					       .uri = &uri,
					       .headers = each_header,
					       .source = &source,
					       .payload = payload };
	int ret = uri_split(&uri, what->target);

	if (ret < 0)
		return err_set(err, -ret, "'%.80s' is no path to ask for", what->target);
	ret = digest_of(&digest, what->body, what->len, err);
	if (ret < 0)
		return ret;
	digest_hex(&digest, payload);
	ret = sigv4_canonical(&digest, &request, c, err);
	if (ret == 0 && !sigv4_signature(out, c, secret, &digest))
		ret = err_set(err, EINVAL, "this secret key cannot be signed with");
	return ret;
}

int sigv4_sign(struct sigv4_lines *out, const struct sigv4_what *what,
	       const struct sigv4_key *key, struct err *err)
{
	struct sigv4_claim c;
	struct digest signature;
	char hex[DIGEST_HEX_SIZE];
	int ret = make_claim(&c, what, key, err);

	if (ret == 0)
		ret = find_signature(&signature, &c, what, key->secret, err);
	if (ret < 0)
		return ret;
	digest_hex(&signature, hex);
	snprintf(out->date, sizeof(out->date), "X-Amz-Date: %s", c.date);
	snprintf(out->authorization, sizeof(out->authorization),
		 "Authorization: %s Credential=%s/%s/%s/%s/%s, SignedHeaders=%s, Signature=%s",
		 SIGV4_ALGORITHM, c.key_id, c.day, c.region, c.service, SIGV4_TERMINATOR,
		 c.signed_headers, hex);
	return 0;
}
