/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/admin_ask.h"

#include <errno.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thawd/http.h"

#define SEGMENT_NAME  2u /* of /thaw/functions/NAME/aliases/ALIAS */
#define SEGMENT_ALIAS 4u

/* ---- the path ---- */

int admin_ask_names(struct admin_ask *a, const struct uri *u, struct err *err)
{
	int ret =
		uri_decode(u->segments[SEGMENT_NAME], false, a->function, sizeof(a->function));

	if (ret < 0)
		return err_set(err, EINVAL,
			       "the function's name is too long, or badly encoded");
	ret = names_check_function(a->function, err);
	if (ret < 0 || u->nsegments <= SEGMENT_ALIAS)
		return ret;
	if (uri_decode(u->segments[SEGMENT_ALIAS], false, a->alias, sizeof(a->alias)) < 0)
		return err_set(err, EINVAL, "the alias is too long, or badly encoded");
	return names_check_alias(a->alias, err);
}

/* ---- the body ---- */

/* Numbers: each key, where it goes, and its range. */
struct number {
	const char *key;
	size_t off, size; /* in struct admin_ask */
	int64_t min, max;
};

#define FIELD(m) offsetof(struct admin_ask, m), sizeof(((struct admin_ask *)0)->m)

/* clang-format off */
static const struct number numbers[] = {
	{ "memory_bytes",    FIELD(config.memory), 0, INT64_MAX },
	{ "timeout_ms",      FIELD(config.timeout_ms), 1, STORE_MAX_TIMEOUT_MS },
	{ "min",             FIELD(config.min), 0, STORE_MAX_SLOTS },
	{ "max",             FIELD(config.max), 0, STORE_MAX_SLOTS },
	{ "idle_timeout_ms", FIELD(config.idle_timeout_ms), 0, UINT32_MAX },
	{ "weight",          FIELD(config.weight), 1, POLICY_MAX_WEIGHT },
	{ "reserved",        FIELD(reserved), -1, STORE_MAX_SLOTS },
	{ "provisioned",     FIELD(provisioned), 0, STORE_MAX_SLOTS },
	{ "version",         FIELD(version), 1, INT64_MAX },
};
/* clang-format on */

static const struct number *find_number(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		if (strcmp(numbers[i].key, key) == 0)
			return &numbers[i];
	}
	return NULL;
}

static int take_number(struct admin_ask *a, const struct number *n, const json_t *value,
		       struct err *err)
{
	json_int_t v = json_integer_value(value);

	if (!json_is_integer(value) || v < n->min || v > n->max)
		return err_set(err, EINVAL, "%s: expected a number from %lld to %lld", n->key,
			       (long long)n->min, (long long)n->max);
	/* Little-endian, as everything here. */
	memcpy((uint8_t *)a + n->off, &v, n->size);
	return 0;
}

static int take_mode(struct admin_ask *a, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);

	for (int i = 0; text && store_modes[i]; i++) {
		if (strcmp(store_modes[i], text) == 0) {
			a->config.mode = (enum policy_mode)i;
			return 0;
		}
	}
	return err_set(err, EINVAL, "mode: expected \"rewind\", \"reuse\" or \"fresh\"");
}

static int take_text(char *to, size_t size, const char *key, const char *text, struct err *err)
{
	if (!text || (size_t)snprintf(to, size, "%s", text) >= size)
		return err_set(err, EINVAL, "%s: expected a text of at most %zu bytes", key,
			       size - 1);
	return 0;
}

static int take_environment(struct admin_ask *a, const json_t *value, struct err *err)
{
	auto_free char *text =
		json_is_object(value) ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	return take_text(a->config.environment, sizeof(a->config.environment), "environment",
			 text, err);
}

static int take_image(struct admin_ask *a, const json_t *value, struct err *err)
{
	const char *text = json_string_value(value);

	free(a->image);
	a->image = text && text[0] == '/' ? strdup(text) : NULL;
	return a->image ? 0
			: err_set(err, EINVAL,
				  "image: expected an absolute path of a directory");
}

static bool is_alias_key(const char *key)
{
	return strcmp(key, "version") == 0 || strcmp(key, "provisioned") == 0;
}

static int take(struct admin_ask *a, const char *key, const json_t *value, struct err *err)
{
	const struct number *n = find_number(key);

	if (a->alias[0] ? !is_alias_key(key) : strcmp(key, "version") == 0)
		return err_set(err, EINVAL, "%s: no such key", key);
	a->has_reserved |= strcmp(key, "reserved") == 0;
	a->has_provisioned |= strcmp(key, "provisioned") == 0;
	if (n)
		return take_number(a, n, value, err);
	if (strcmp(key, "image") == 0)
		return take_image(a, value, err);
	if (strcmp(key, "mode") == 0)
		return take_mode(a, value, err);
	if (strcmp(key, "environment") == 0)
		return take_environment(a, value, err);
	if (strcmp(key, "description") == 0)
		return take_text(a->config.description, sizeof(a->config.description), key,
				 json_string_value(value), err);
	return err_set(err, EINVAL, "%s: no such key", key);
}

int admin_ask_body(struct admin_ask *a, struct store *s, const struct http_request *r,
		   struct err *err)
{
	struct store_record record;
	json_error_t why;
	const char *key;
	json_t *doc, *value;
	size_t len;
	const uint8_t *body = http_body(r, &len);
	int ret = 0;

	if (store_resolve(s, a->function, NULL, &record, NULL) == 0)
		a->config = record.config;
	else
		store_config_default(&a->config);
	doc = json_loadb((const char *)body, len, JSON_REJECT_DUPLICATES, &why);
	if (!json_is_object(doc))
		ret = err_set(err, EINVAL, "the body is no JSON object: %s", why.text);
	json_object_foreach(doc, key, value)
	{
		ret = ret < 0 ? ret : take(a, key, value, err);
	}
	json_decref(doc);
	return ret;
}

void admin_ask_free(struct admin_ask *a)
{
	free(a->image);
	a->image = NULL;
}
