/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifest_value.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/rate.h"
#include "engine/err.h"
#include "snapshot/digest.h"

#define HEX_DIGITS "0123456789abcdef"

int value_missing(const char *path, const json_t *v, const char *expected, struct err *err)
{
	return err_set(err, ERR_DAMAGED, "%s is %s, expected %s", path,
		       v ? "of another type" : "missing", expected);
}

static int text_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		     struct err *err)
{
	const char *text = json_string_value(v);

	if (!text)
		return value_missing(path, v, "a string", err);
	for (const char *c = text; *c; c++) {
		/* Texts are shown to people: an image must not write on their terminal. */
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return err_set(err, ERR_DAMAGED, "%s has control character 0x%02x",
				       path, (unsigned char)*c);
	}
	if (strlen(text) >= k->size)
		return err_set(err, ERR_DAMAGED, "%s has %zu bytes, largest allowed is %zu",
			       path, strlen(text), k->size - 1);
	memcpy(to, text, strlen(text) + 1);
	return 0;
}

static json_t *text_write(const struct value_key *k, const void *from)
{
	return json_stringn(from, strnlen(from, k->size));
}

static int number_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		       struct err *err)
{
	json_int_t n = json_integer_value(v);
	uint64_t value = (uint64_t)n;

	if (!json_is_integer(v))
		return value_missing(path, v, "a whole number", err);
	if (n < 0 || value < k->min || value > k->max)
		return err_set(err, ERR_DAMAGED,
			       "%s is %" JSON_INTEGER_FORMAT ", expected %" PRIu64 "..%" PRIu64,
			       path, n, k->min, k->max);
	memcpy(to, &value, k->size);
	return 0;
}

static uint64_t number_of(const struct value_key *k, const void *from)
{
	uint64_t value = 0;

	memcpy(&value, from, k->size);
	return value;
}

static json_t *number_write(const struct value_key *k, const void *from)
{
	return json_integer((json_int_t)number_of(k, from));
}

/* "0x" and 1 to 16 lower-case hex digits: masks, which people read in hex, and which need
 * not fit JSON's signed 64 bits. */
static int mask_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		     struct err *err)
{
	const char *text = json_string_value(v);
	size_t n = text ? strlen(text) : 0;
	uint64_t value;

	if (!text)
		return value_missing(path, v, "a string", err);
	if (n < 3 || n > 2 + 2 * k->size || strncmp(text, "0x", 2) != 0 ||
	    strspn(text + 2, HEX_DIGITS) != n - 2)
		return err_set(err, ERR_DAMAGED,
			       "%s is '%.40s', expected 0x and up to %zu lower-case hex digits",
			       path, text, 2 * k->size);
	value = strtoull(text, NULL, 16);
	memcpy(to, &value, k->size);
	return 0;
}

static json_t *mask_write(const struct value_key *k, const void *from)
{
	return json_sprintf("0x%" PRIx64, number_of(k, from));
}

static int flag_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		     struct err *err)
{
	uint32_t flag = json_is_true(v);

	if (!json_is_boolean(v))
		return value_missing(path, v, "true or false", err);
	memcpy(to, &flag, k->size);
	return 0;
}

static json_t *flag_write(const struct value_key *k, const void *from)
{
	return json_boolean(number_of(k, from) != 0);
}

static int digest_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		       struct err *err)
{
	const char *hex = json_string_value(v);

	(void)k;
	if (!hex || !digest_parse(to, hex))
		return value_missing(path, v, "64 lower-case hex digits", err);
	return 0;
}

static json_t *digest_write(const struct value_key *k, const void *from)
{
	char hex[DIGEST_HEX_SIZE];

	(void)k;
	digest_hex(from, hex);
	return json_string(hex);
}

static int id_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		   struct err *err)
{
	const char *id = json_string_value(v);

	if (!id || strlen(id) != k->size - 1 || strspn(id, HEX_DIGITS) != k->size - 1)
		return value_missing(path, v, "32 lower-case hex digits", err);
	memcpy(to, id, k->size);
	return 0;
}

static int parent_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		       struct err *err)
{
	if (json_is_null(v)) {
		memset(to, 0, k->size);
		return 0;
	}
	return id_read(k, path, v, to, err);
}

static json_t *parent_write(const struct value_key *k, const void *from)
{
	return *(const char *)from ? text_write(k, from) : json_null();
}

/* Manifests that are older than layers do not have it. */
static int parent_digest_read(const struct value_key *k, const char *path, const json_t *v,
			      void *to, struct err *err)
{
	if (!v || json_is_null(v)) {
		memset(to, 0, k->size);
		return 0;
	}
	return digest_read(k, path, v, to, err);
}

static json_t *parent_digest_write(const struct value_key *k, const void *from)
{
	static const struct digest none;

	return digest_equal(from, &none) ? json_null() : digest_write(k, from);
}

/* The one form of RFC 3339 that thaw writes: "2026-01-31T12:00:00Z". */
static int time_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		     struct err *err)
{
	static const char form[] = "0000-00-00T00:00:00Z";
	const char *text = json_string_value(v);
	bool fits = text && strlen(text) == sizeof(form) - 1;

	for (size_t i = 0; fits && form[i]; i++)
		fits = form[i] == '0' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
	if (!fits)
		return value_missing(path, v, "a time like 2026-01-31T12:00:00Z", err);
	return text_read(k, path, v, to, err);
}

#define LIMIT(m) offsetof(struct rate_limit, m), sizeof(((struct rate_limit *)NULL)->m)
static const struct value_key limit_keys[] = {
	{ NULL, "size", &value_number, LIMIT(size), 1, INT64_MAX },
	{ NULL, "burst", &value_number, LIMIT(burst), 0, INT64_MAX },
	{ NULL, "refill_ms", &value_number, LIMIT(refill_ms), 1, UINT32_MAX },
};

static int limit_read(const struct value_key *k, const char *path, const json_t *v, void *to,
		      struct err *err)
{
	struct rate_limit limit = { 0 };
	int ret = 0;

	(void)k;
	if (v && !json_is_object(v))
		return value_missing(path, v, "an object", err);
	for (size_t i = 0; v && ret == 0 && i < ARRAY_SIZE(limit_keys); i++) {
		const struct value_key *key = &limit_keys[i];
		char name[VALUE_PATH_SIZE];

		snprintf(name, sizeof(name), "%s.%s", path, key->name);
		ret = number_read(key, name, json_object_get(v, key->name),
				  (char *)&limit + key->off, err);
	}
	if (ret == 0)
		memcpy(to, &limit, sizeof(limit));
	return ret;
}

static json_t *limit_write(const struct value_key *k, const void *from)
{
	json_t *limit = json_object();

	(void)k;
	for (size_t i = 0; i < ARRAY_SIZE(limit_keys); i++)
		json_object_set_new(
			limit, limit_keys[i].name,
			number_write(&limit_keys[i], (const char *)from + limit_keys[i].off));
	return limit;
}

static bool limit_is_missing(const void *from)
{
	return ((const struct rate_limit *)from)->size == 0;
}

const struct value_kind value_text = { text_read, text_write, NULL };
const struct value_kind value_number = { number_read, number_write, NULL };
const struct value_kind value_mask = { mask_read, mask_write, NULL };
const struct value_kind value_flag = { flag_read, flag_write, NULL };
const struct value_kind value_digest = { digest_read, digest_write, NULL };
const struct value_kind value_id = { id_read, text_write, NULL };
const struct value_kind value_parent = { parent_read, parent_write, NULL };
const struct value_kind value_parent_digest = { parent_digest_read, parent_digest_write, NULL };
const struct value_kind value_time = { time_read, text_write, NULL };
const struct value_kind value_limit = { limit_read, limit_write, limit_is_missing };
