/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_manifest - manifest.json from an enemy who knows how to make a digest: what is a JSON
 * object gets the right one before it is parsed. What can be read must be written and read
 * again as the same.
 *
 * The corpus began as the manifest.json of tests/helpers_image.c's sample; the rest is what
 * the fuzzer found from there, reduced with -merge=1.
 */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/digest.h"
#include "snapshot/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The text with its right digest, or NULL: no JSON object, or not one that can be written. */
static char *sealed(const uint8_t *data, size_t len)
{
	json_t *doc = json_loadb((const char *)data, len, 0, NULL);
	char *text = NULL, *canonical, hex[DIGEST_HEX_SIZE];
	struct digest d;

	json_object_del(doc, "sha256");
	canonical = json_is_object(doc) ? json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
	if (canonical && digest_of(&d, canonical, strlen(canonical), NULL) == 0) {
		digest_hex(&d, hex);
		json_object_set_new(doc, "sha256", json_string(hex));
		text = json_dumps(doc, 0);
	}
	free(canonical);
	json_decref(doc);
	return text;
}

static void write_again(const struct manifest *m)
{
	struct manifest again;
	char *text, *second;
	size_t len, second_len;

	if (manifest_format(m, &text, &len, NULL) < 0)
		return;
	if (manifest_parse(&again, text, len, NULL) < 0 ||
	    manifest_format(&again, &second, &second_len, NULL) < 0)
		abort();
	assert(len == second_len && memcmp(text, second, len) == 0);
	manifest_fini(&again);
	free(text);
	free(second);
}

static void parse(const char *text, size_t len)
{
	struct manifest m;

	if (manifest_parse(&m, text, len, NULL) < 0)
		return;
	write_again(&m);
	manifest_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = sealed(data, len);

	parse((const char *)data, len);
	if (text)
		parse(text, strlen(text));
	free(text);
	return 0;
}
