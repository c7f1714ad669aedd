/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/sigv4_claim.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "engine/err.h"

#define DIGITS "0123456789"
#define SMALL  "abcdefghijklmnopqrstuvwxyz"
#define LARGE  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool is_of(const char *text, const char *set)
{
	return *text && text[strspn(text, set)] == '\0';
}

/* Copy @part to @out, if it is not empty and all of it is of @set. */
static bool take(struct uri_part part, const char *set, char *out, size_t size)
{
	if (part.len == 0 || part.len >= size || memchr(part.at, '\0', part.len))
		return false;
	memcpy(out, part.at, part.len);
	out[part.len] = '\0';
	return is_of(out, set);
}

/* KEY_ID/DAY/REGION/SERVICE/aws4_request */
static bool take_credential(struct sigv4_claim *c, struct uri_part v)
{
	return take(uri_cut(&v, '/'), SMALL LARGE DIGITS "_", c->key_id, sizeof(c->key_id)) &&
	       take(uri_cut(&v, '/'), DIGITS, c->day, sizeof(c->day)) && strlen(c->day) == 8 &&
	       take(uri_cut(&v, '/'), SMALL DIGITS "-", c->region, sizeof(c->region)) &&
	       take(uri_cut(&v, '/'), SMALL DIGITS "-", c->service, sizeof(c->service)) &&
	       uri_is(v, SIGV4_TERMINATOR);
}

/* In order, none twice, and "host" among them: what is not signed can be changed on its way. */
static bool take_headers(struct sigv4_claim *c, struct uri_part v)
{
	struct uri_part before = { "", 0 }, name, rest = v;
	unsigned n = 0;

	if (!take(v, SMALL DIGITS "-_.;", c->signed_headers, sizeof(c->signed_headers)))
		return false;
	for (; rest.len > 0; before = name) {
		name = uri_cut(&rest, ';');
		int order = memcmp(before.at, name.at, MIN(before.len, name.len));

		if (name.len == 0 || ++n > SIGV4_MAX_HEADERS || order > 0 ||
		    (order == 0 && before.len >= name.len))
			return false;
	}
	return v.at[v.len - 1] != ';' && sigv4_claim_signs(c, "host");
}

static bool take_signature(struct sigv4_claim *c, struct uri_part v)
{
	char hex[65];
	size_t len;

	return take(v, DIGITS "abcdef", hex, sizeof(hex)) && strlen(hex) == 64 &&
	       OPENSSL_hexstr2buf_ex(c->signature, sizeof(c->signature), &len, hex, '\0') == 1;
}

static int take_date(struct sigv4_claim *c, const char *date, struct err *err)
{
	if (!date ||
	    !take((struct uri_part){ date, strlen(date) }, DIGITS "TZ", c->date,
		  sizeof(c->date)) ||
	    sigv4_seconds(c->date) == 0)
		return err_set(err, EINVAL,
			       "Date must be in ISO-8601 'basic format', as X-Amz-Date");
	if (strncmp(c->date, c->day, 8) != 0)
		return err_set(err, EINVAL,
			       "Date in Credential scope does not match YYYYMMDD from ISO-8601 "
			       "version of date from HTTP");
	return 0;
}

uint64_t sigv4_seconds(const char *date)
{
	struct tm tm = { 0 };
	const char *end = strlen(date) == 16 ? strptime(date, "%Y%m%dT%H%M%SZ", &tm) : NULL;
	time_t t = end && !*end ? timegm(&tm) : 0;

	return t > 0 ? (uint64_t)t : 0;
}

bool sigv4_claim_signs(const struct sigv4_claim *c, const char *name)
{
	struct uri_part rest = { c->signed_headers, strlen(c->signed_headers) };

	while (rest.len > 0) {
		struct uri_part one = uri_cut(&rest, ';');

		if (strlen(name) == one.len && strncasecmp(name, one.at, one.len) == 0)
			return true;
	}
	return false;
}

/* ---- the header ---- */

/* clang-format off */
static const struct {
	const char *name;
	bool (*take)(struct sigv4_claim *c, struct uri_part value);
} parameters[] = {
	{ "Credential", take_credential },
	{ "SignedHeaders", take_headers },
	{ "Signature", take_signature },
};
/* clang-format on */

/* "NAME=VALUE" with blanks around it. Returns its number, -1: none of ours, or malformed. */
static int take_parameter(struct sigv4_claim *c, struct uri_part value)
{
	struct uri_part name;

	while (value.len > 0 && value.at[0] == ' ') {
		value.at++;
		value.len--;
	}
	while (value.len > 0 && value.at[value.len - 1] == ' ')
		value.len--;
	name = uri_cut(&value, '=');
	for (size_t i = 0; i < ARRAY_SIZE(parameters); i++)
		if (uri_is(name, parameters[i].name))
			return parameters[i].take(c, value) ? (int)i : -1;
	return -1;
}

int sigv4_claim_header(struct sigv4_claim *c, const char *authorization, const char *date,
		       struct err *err)
{
	struct uri_part rest = { authorization, strlen(authorization) };
	unsigned seen = 0;

	*c = (struct sigv4_claim){ .is_presigned = false };
	if (!uri_is(uri_cut(&rest, ' '), SIGV4_ALGORITHM))
		return err_set(err, EINVAL, "Unsupported AWS 'algorithm': expected %s",
			       SIGV4_ALGORITHM);
	while (rest.len > 0) {
		int i = take_parameter(c, uri_cut(&rest, ','));

		if (i < 0 || seen & 1u << i)
			return err_set(err, EINVAL,
				       "Authorization header has a parameter that is unknown, "
				       "there twice, or malformed");
		seen |= 1u << i;
	}
	if (seen != (1u << ARRAY_SIZE(parameters)) - 1)
		return err_set(err, EINVAL,
			       "Authorization header requires 'Credential', 'SignedHeaders' "
			       "and 'Signature' parameters");
	return take_date(c, date, err);
}

/* ---- the query ---- */

bool sigv4_is_presigned(const struct uri *uri)
{
	struct uri_part rest = uri->query, name, value;

	while (uri_next_pair(&rest, &name, &value))
		if (uri_is(name, "X-Amz-Signature") || uri_is(name, "X-Amz-Algorithm"))
			return true;
	return false;
}

/* Query parameter @name, decoded, as a part of @out. */
static bool parameter(const struct uri *uri, const char *name, char *out, size_t size,
		      struct uri_part *part)
{
	int len = uri_parameter(uri, name, out, size);

	*part = (struct uri_part){ out, len > 0 ? (size_t)len : 0 };
	return len > 0;
}

static bool take_expires(struct sigv4_claim *c, const char *text)
{
	unsigned long n = is_of(text, DIGITS) && strlen(text) < 8 ? strtoul(text, NULL, 10) : 0;

	c->expires_s = (uint32_t)n;
	return n > 0 && n <= SIGV4_MAX_EXPIRES_S;
}

int sigv4_claim_query(struct sigv4_claim *c, const struct uri *uri, struct err *err)
{
	char text[1025];
	struct uri_part v;

	*c = (struct sigv4_claim){ .is_presigned = true };
	if (!parameter(uri, "X-Amz-Algorithm", text, sizeof(text), &v) ||
	    !uri_is(v, SIGV4_ALGORITHM) ||
	    !parameter(uri, "X-Amz-Credential", text, sizeof(text), &v) ||
	    !take_credential(c, v) ||
	    !parameter(uri, "X-Amz-SignedHeaders", text, sizeof(text), &v) ||
	    !take_headers(c, v) || !parameter(uri, "X-Amz-Signature", text, sizeof(text), &v) ||
	    !take_signature(c, v) || !parameter(uri, "X-Amz-Expires", text, sizeof(text), &v) ||
	    !take_expires(c, text))
		return err_set(err, EINVAL,
			       "AWS query-string parameters must include 'X-Amz-Algorithm', "
			       "'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', "
			       "'X-Amz-Date' and 'X-Amz-Expires', of right form");
	if (!parameter(uri, "X-Amz-Date", text, sizeof(text), &v))
		return take_date(c, NULL, err);
	return take_date(c, text, err);
}
