/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/manifest.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/manifest_keys.h"

#define SELF_KEY    "sha256"
#define VERSION_KEY "format_version"

/* SHA-256 of the canonical form of @doc without its own digest: keys sorted by their bytes,
 * nothing between tokens, UTF-8. */
static int self_digest(json_t *doc, struct digest *out, struct err *err)
{
	json_t *rest = json_copy(doc);
	char *canonical = NULL;
	int ret;

	if (rest) {
		json_object_del(rest, SELF_KEY);
		canonical = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS);
		json_decref(rest);
	}
	if (!canonical)
		return err_set(err, ENOMEM, "canonical form: out of memory");
	ret = digest_of(out, canonical, strlen(canonical), err);
	free(canonical);
	return ret;
}

static int check_self(json_t *doc, struct err *err)
{
	const char *hex = json_string_value(json_object_get(doc, SELF_KEY));
	struct digest is, expected;
	int ret;

	if (!hex || !digest_parse(&expected, hex))
		return err_set(err, ERR_DAMAGED,
			       SELF_KEY " is missing or not 64 lower-case hex digits");
	ret = self_digest(doc, &is, err);
	if (ret == 0)
		ret = digest_check(&is, &expected, err);
	return ret < 0 ? err_wrap(err, ret, "its content") : 0;
}

static int check_version(json_t *doc, struct err *err)
{
	json_t *v = json_object_get(doc, VERSION_KEY);
	json_int_t version = json_integer_value(v);

	if (!json_is_integer(v) || version < 1)
		return err_set(err, ERR_DAMAGED, VERSION_KEY " is missing or not 1 or more");
	if (version != MANIFEST_VERSION)
		return err_set(err, ERR_UNFIT,
			       "format version %" JSON_INTEGER_FORMAT ", this thaw reads %d",
			       version, MANIFEST_VERSION);
	return 0;
}

/* What no single key can show. */
static int check_sums(const struct manifest *m, struct err *err)
{
	struct mem mem;

	manifest_get_mem(m, &mem);
	if (mem_size(&mem) != m->ram_size)
		return err_set(err, ERR_DAMAGED,
			       "memory.ram_bytes is %ju, shape.regions have %ju",
			       (uintmax_t)m->ram_size, (uintmax_t)mem_size(&mem));
	if (m->stored_pages > m->ram_size / MEM_PAGE_SIZE)
		return err_set(err, ERR_DAMAGED,
			       "memory.stored_pages is %ju, memory.ram_bytes are %ju pages",
			       (uintmax_t)m->stored_pages,
			       (uintmax_t)m->ram_size / MEM_PAGE_SIZE);
	if (m->nonzero_size != m->stored_pages * MEM_PAGE_SIZE)
		return err_set(err, ERR_DAMAGED,
			       "memory.nonzero_bytes is %ju, expected %u for each of %ju pages",
			       (uintmax_t)m->nonzero_size, MEM_PAGE_SIZE,
			       (uintmax_t)m->stored_pages);
	if (m->files[MANIFEST_RAW].size != 0 && m->files[MANIFEST_RAW].size != m->ram_size)
		return err_set(err, ERR_DAMAGED,
			       "files.memory.raw.size_bytes is %ju, memory.ram_bytes is %ju",
			       (uintmax_t)m->files[MANIFEST_RAW].size, (uintmax_t)m->ram_size);
	return 0;
}

/* A layer is both: with a parent, and with that parent's digest. */
static int check_layer(const struct manifest *m, struct err *err)
{
	static const struct digest none;
	bool is_layer = manifest_is_layer(m);

	if (digest_equal(&m->parent_sha256, &none) == is_layer)
		return err_set(err, ERR_DAMAGED,
			       "parent and parent_sha256: expected both or neither");
	if (is_layer && m->files[MANIFEST_RAW].size != 0)
		return err_set(err, ERR_DAMAGED, "files.memory.raw: a layer has none");
	return 0;
}

static int parse_doc(struct manifest *m, struct err *err)
{
	int ret;

	if (!json_is_object(m->doc))
		return err_set(err, ERR_DAMAGED, "is not a JSON object");
	ret = check_self(m->doc, err);
	if (ret == 0)
		ret = check_version(m->doc, err);
	if (ret == 0)
		ret = manifest_read_keys(m, m->doc, err);
	if (ret == 0)
		ret = check_layer(m, err);
	return ret < 0 ? ret : check_sums(m, err);
}

int manifest_parse(struct manifest *m, const char *text, size_t len, struct err *err)
{
	json_error_t json_err;
	int ret;

	*m = (struct manifest){ 0 };
	if (len > MANIFEST_MAX_SIZE)
		return err_set(err, ERR_DAMAGED, "has %zu bytes, largest allowed is %u", len,
			       MANIFEST_MAX_SIZE);
	m->doc = json_loadb(text, len, JSON_REJECT_DUPLICATES, &json_err);
	if (!m->doc)
		return err_set(err, ERR_DAMAGED, "line %d column %d: %s", json_err.line,
			       json_err.column, json_err.text);
	ret = parse_doc(m, err);
	if (ret < 0)
		manifest_fini(m);
	return ret;
}

/* The digest goes last: it is of all that stands before it. */
static int seal_doc(json_t *doc, struct err *err)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest d;
	int ret;

	json_object_del(doc, SELF_KEY);
	ret = self_digest(doc, &d, err);
	if (ret < 0)
		return ret;
	digest_hex(&d, hex);
	if (json_object_set_new(doc, SELF_KEY, json_string(hex)) < 0)
		return err_set(err, ENOMEM, SELF_KEY ": out of memory");
	return 0;
}

/* A manifest that we would refuse to read is an error of ours or of our caller's. */
static int check_readable(const char *text, size_t len, struct err *err)
{
	struct manifest again;
	int ret = manifest_parse(&again, text, len, err);

	if (ret < 0)
		return err_wrap(err, -EINVAL, "new manifest");
	manifest_fini(&again);
	return 0;
}

static int format_doc(const struct manifest *m, json_t *doc, char **text, struct err *err)
{
	int ret;

	if (json_object_set_new(doc, VERSION_KEY, json_integer(MANIFEST_VERSION)) < 0)
		return err_set(err, ENOMEM, VERSION_KEY ": out of memory");
	ret = manifest_write_keys(m, doc, err);
	if (ret == 0)
		ret = seal_doc(doc, err);
	if (ret < 0)
		return ret;
	*text = json_dumps(doc, JSON_INDENT(2));
	return *text ? 0 : err_set(err, ENOMEM, "text: out of memory");
}

int manifest_format(const struct manifest *m, char **text, size_t *len, struct err *err)
{
	json_t *doc = m->doc ? json_deep_copy(m->doc) : json_object();
	int ret;

	*text = NULL;
	if (!doc)
		return err_set(err, ENOMEM, "manifest: out of memory");
	ret = format_doc(m, doc, text, err);
	json_decref(doc);
	if (ret < 0)
		return ret;
	assert(*text);
	*len = strlen(*text);
	(*text)[(*len)++] = '\n'; /* in the NUL's place: text files end in a newline */
	ret = check_readable(*text, *len, err);
	if (ret < 0) {
		free(*text);
		*text = NULL;
	}
	return ret;
}

int manifest_stamp(struct manifest *m, struct err *err)
{
	time_t now = time(NULL);
	uint64_t id[2];
	struct tm tm;

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return err_sys(err, "getrandom");
	snprintf(m->id, sizeof(m->id), "%016jx%016jx", (uintmax_t)id[0], (uintmax_t)id[1]);
	gmtime_r(&now, &tm);
	strftime(m->created, sizeof(m->created), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return 0;
}

int manifest_set_args(struct manifest *m, size_t n, const char *const *args, struct err *err)
{
	size_t size = 0;
	char *at;

	if (n > MANIFEST_MAX_ARGS)
		return err_set(err, E2BIG, "%zu arguments, largest allowed is %u", n,
			       MANIFEST_MAX_ARGS);
	for (size_t i = 0; i < n; i++) {
		json_t *text = json_string(args[i]);

		json_decref(text);
		if (!text)
			return err_set(err, EINVAL, "argument %zu is not UTF-8", i);
		size += strlen(args[i]) + 1;
	}
	at = malloc(size ? size : 1);
	if (!at)
		return err_set(err, ENOMEM, "arguments of %zu bytes: out of memory", size);
	free(m->args);
	m->args = at;
	m->nargs = (uint32_t)n;
	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, args[i]) + 1;
	return 0;
}

int manifest_set_drives(struct manifest *m, uint32_t n, const struct manifest_drive *drives,
			struct err *err)
{
	struct manifest_drive *copy;

	if (n > MANIFEST_MAX_DRIVES)
		return err_set(err, E2BIG, "%u drives, largest allowed is %u", n,
			       MANIFEST_MAX_DRIVES);
	copy = calloc(MAX(n, 1u), sizeof(*copy));
	if (!copy)
		return err_set(err, ENOMEM, "%u drives: out of memory", n);
	if (n > 0)
		memcpy(copy, drives, n * sizeof(*copy));
	free(m->drives);
	m->drives = copy;
	m->ndrives = n;
	return 0;
}

int manifest_content_digest(const struct manifest *m, struct digest *out, struct err *err)
{
	auto_digest struct digest_stream s = { 0 };
	const struct digest *const parts[] = { &m->files[MANIFEST_STATE].sha256,
					       &m->files[MANIFEST_MEMORY].sha256,
					       &m->parent_sha256 };
	size_t n = manifest_is_layer(m) ? 3 : 2;
	int ret = digest_begin(&s, err);

	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = digest_add(&s, parts[i]->bytes, sizeof(parts[i]->bytes), err);
	return ret < 0 ? ret : digest_end(&s, out, err);
}

void manifest_get_mem(const struct manifest *m, struct mem *out)
{
	*out = (struct mem){ .nregions = m->nregions };
	for (uint32_t i = 0; i < m->nregions; i++) {
		out->regions[i].gpa = m->regions[i].gpa;
		out->regions[i].size = m->regions[i].size;
	}
}

void manifest_set_mem(struct manifest *m, const struct mem *mem)
{
	m->nregions = mem->nregions;
	m->ram_size = mem_size(mem);
	for (uint32_t i = 0; i < mem->nregions; i++) {
		m->regions[i].gpa = mem->regions[i].gpa;
		m->regions[i].size = mem->regions[i].size;
	}
}

void manifest_fini(struct manifest *m)
{
	json_decref(m->doc);
	free(m->args);
	free(m->drives);
	*m = (struct manifest){ 0 };
}
