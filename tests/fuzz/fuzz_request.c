/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_request - what clients of thawd send and we take apart ourselves: the target with its query,
 * names and ARNs of functions, signatures (in a header and presigned), JSON. The first line is the
 * target, the second the header Authorization, the third its date, the rest a body. What was
 * taken must be in its form, and taken again as the same.
 *
 * The corpus is signatures of tests/test_sigv4.c, and forms of names.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/json_check.h"
#include "tools/thawd/lambda_name.h"
#include "tools/thaw/sigv4_canonical.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void name(const char *text)
{
	struct lambda_name n, again;
	char both[CALL_NAME_SIZE + CALL_QUALIFIER_SIZE + 10];

	if (lambda_name_parse(&n, text, NULL) < 0)
		return;
	assert(strlen(n.function) > 0 && !strpbrk(n.function, ":/ %\n"));
	snprintf(both, sizeof(both), "function:%s%s%s", n.function, *n.qualifier ? ":" : "",
		 n.qualifier);
	if (lambda_name_parse(&again, both, NULL) < 0)
		abort();
	assert(memcmp(&n, &again, sizeof(n)) == 0);
	if (*n.qualifier && lambda_name_qualify(&n, n.qualifier, NULL) < 0)
		abort();
	assert(lambda_name_qualify(&n, "a:b", NULL) < 0);
}

/* One header, "host", is there. */
static void headers(const void *source,
		    bool (*each)(void *data, const char *name, const char *value), void *data)
{
	each(data, "Host", source);
}

static void canonical(const struct sigv4_claim *c, const struct uri *uri, const char *host)
{
	struct sigv4_request r = {
		.method = "GET", .uri = uri, .headers = headers, .source = host, .payload = "x"
	};
	struct digest a, b;

	assert(sigv4_seconds(c->date) > 0 && strncmp(c->date, c->day, 8) == 0);
	assert(sigv4_claim_signs(c, "HOST"));
	if (sigv4_canonical(&a, &r, c, NULL) < 0)
		return;
	if (sigv4_canonical(&b, &r, c, NULL) < 0)
		abort();
	assert(digest_equal(&a, &b));
}

static void target(const struct uri *uri)
{
	char text[LAMBDA_NAME_MAX + 1];
	struct uri_part rest = uri->query, key, value;
	int len;

	for (size_t i = 0; i < uri->nsegments; i++) {
		assert(!memchr(uri->segments[i].at, '/', uri->segments[i].len));
		len = uri_decode(uri->segments[i], false, text, sizeof(text));
		if (len >= 0) {
			assert(strlen(text) == (size_t)len);
			name(text);
		}
	}
	while (uri_next_pair(&rest, &key, &value))
		assert(key.len > 0 && !memchr(key.at, '=', key.len) &&
		       !memchr(value.at, '&', value.len));
	len = uri_parameter(uri, "Qualifier", text, sizeof(text));
	assert(len < (int)sizeof(text));
}

/* What jansson takes is JSON; it refuses some that is: numbers that are too large for it, and its
 * depth is another. */
static void json(const char *text, size_t len)
{
	size_t where;
	bool is_json = json_check((const uint8_t *)text, len, &where);
	json_t *doc =
		len > 0 ? json_loadb(text, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;

	assert(where <= len && (!is_json || where == len));
	assert(is_json || !doc || len > JSON_CHECK_DEPTH);
	json_decref(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = strndup((const char *)data, len), *rest = text;
	const char *line = strsep(&rest, "\n"), *authorization, *date;
	struct sigv4_claim c;
	struct uri uri;

	name(line);
	authorization = strsep(&rest, "\n");
	date = strsep(&rest, "\n");
	if (uri_split(&uri, line) == 0) {
		target(&uri);
		if (sigv4_is_presigned(&uri) && sigv4_claim_query(&c, &uri, NULL) == 0)
			canonical(&c, &uri, line);
		if (authorization && sigv4_claim_header(&c, authorization, date, NULL) == 0)
			canonical(&c, &uri, line);
	}
	if (rest)
		json(rest, strlen(rest));
	free(text);
	return 0;
}
