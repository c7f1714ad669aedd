/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/manifest.h"
#include "tests/helpers_image.h"

static struct manifest m, again;
static struct err err;
static char *text;
static size_t len;

static void format(void)
{
	free(text);
	cr_assert(eq(int, manifest_format(&m, &text, &len, &err), 0), "%s", err.text);
}

static const struct manifest_drive drives[] = {
	{ .id = "root", .path = "/srv/root.erofs", .size = 4096, .read_only = 1 },
	{ .id = "data",
	  .path = "/srv/data.ext4",
	  .size = 1 << 30,
	  .sha256 = { { 1, 2, 3 } },
	  .bytes = { .size = 1 << 20, .burst = 5, .refill_ms = 1000 },
	  .ops = { .size = INT64_MAX, .refill_ms = UINT32_MAX } },
};

static void setup(void)
{
	struct mem mem;

	sample_mem_empty(&mem);
	sample_manifest(&m);
	manifest_set_mem(&m, &mem);
	mem_unmap(&mem);
	m.stored_pages = 40;
	m.nonzero_size = 40 * 4096;
	m.files[MANIFEST_STATE].size = 200;
	m.files[MANIFEST_MEMORY].size = 64;
	cr_assert(eq(int, manifest_set_drives(&m, 2, drives, &err), 0), "%s", err.text);
	format();
}

static void teardown(void)
{
	free(text);
	manifest_fini(&m);
}

TestSuite(manifest, .init = setup, .fini = teardown);

static int parse(void)
{
	int ret = manifest_parse(&again, text, len, &err);

	if (ret == 0)
		manifest_fini(&again);
	return ret;
}

/* The text with a change and a digest that fits it, as a liar would write it. */
static void seal(json_t *doc)
{
	char *canonical, hex[DIGEST_HEX_SIZE];
	struct digest d;

	json_object_del(doc, "sha256");
	canonical = json_dumps(doc, JSON_COMPACT | JSON_SORT_KEYS);
	cr_assert(eq(int, digest_of(&d, canonical, strlen(canonical), &err), 0));
	free(canonical);
	digest_hex(&d, hex);
	json_object_set_new(doc, "sha256", json_string(hex));
	free(text);
	text = json_dumps(doc, JSON_INDENT(1));
	len = strlen(text);
}

/* Set "group.key" (group "" for the top) to a JSON value; NULL: take it away. */
static void lie(const char *group, const char *key, const char *value)
{
	json_t *doc = json_loadb(text, len, 0, NULL);
	json_t *obj = *group ? json_object_get(doc, group) : doc;

	if (value)
		json_object_set_new(obj, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(obj, key);
	seal(doc);
	json_decref(doc);
}

Test(manifest, what_was_written_is_read)
{
	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0), "%s", err.text);
	cr_assert(eq(str, again.id, m.id));
	cr_assert(eq(str, again.parent, ""));
	cr_assert(eq(str, again.created, m.created));
	cr_assert(eq(str, again.thaw_version, m.thaw_version));
	cr_assert(eq(str, again.guest_kind, "kindling"));
	cr_assert(eq(str, again.guest_program, "echo"));
	cr_assert(eq(u32, again.nargs, 3));
	cr_assert(eq(int,
		     memcmp(again.args, m.args, sizeof("--greeting\0héllo \"world\"\n\0") - 1),
		     0));
	cr_assert(eq(u32, again.vcpus, 1));
	cr_assert(eq(u32, again.nregions, 2));
	cr_assert(eq(int, memcmp(again.regions, m.regions, sizeof(m.regions)), 0));
	cr_assert(digest_equal(&again.cpuid_sha256, &m.cpuid_sha256));
	cr_assert(eq(u32, again.tsc_khz, 2900000));
	cr_assert(eq(u64, again.xcr0, 0xe7));
	cr_assert(eq(u32, again.xsave_size, 2696));
	cr_assert(eq(u32, again.ndevices, 2));
	cr_assert(eq(str, again.devices[1], "serial"));
	cr_assert(eq(u32, again.ndrives, 2));
	cr_assert(eq(int, memcmp(again.drives, drives, sizeof(drives)), 0));
	cr_assert(eq(u32, again.nfeatures, 2));
	cr_assert(eq(int, memcmp(again.features, m.features, sizeof(m.features)), 0));
	cr_assert(eq(str, again.host_kernel, "6.1.0"));
	cr_assert(eq(str, again.host_kvm, "vmx"));
	cr_assert(eq(u64, again.files[MANIFEST_STATE].size, 200));
	cr_assert(eq(u64, again.files[MANIFEST_RAW].size, 0));
	cr_assert(eq(u64, again.files[MANIFEST_WSET].size, 0));
	cr_assert(eq(u64, again.ram_size, 0x400000));
	cr_assert(eq(u64, again.stored_pages, 40));
	manifest_fini(&again);
}

Test(manifest, writing_again_gives_the_same_bytes)
{
	char *second;
	size_t second_len;

	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0));
	cr_assert(eq(int, manifest_format(&again, &second, &second_len, &err), 0));
	cr_assert(eq(sz, second_len, len));
	cr_assert(eq(int, memcmp(second, text, len), 0));
	free(second);
	manifest_fini(&again);
}

Test(manifest, unknown_keys_are_kept)
{
	char *second;
	size_t second_len;

	lie("", "later", "{\"a\": [1, 2.5, null]}");
	lie("files", "later.bin", "{\"size_bytes\": 7}");
	lie("shape", "numa", "true");
	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0), "%s", err.text);
	again.vcpus = 2;
	cr_assert(eq(int, manifest_format(&again, &second, &second_len, &err), 0));
	manifest_fini(&again);
	cr_assert(eq(int, manifest_parse(&again, second, second_len, &err), 0));
	cr_assert(eq(u32, again.vcpus, 2));
	second[second_len - 1] = '\0';
	cr_assert(ne(ptr, strstr(second, "\"later\": {\n"), NULL));
	cr_assert(ne(ptr, strstr(second, "\"later.bin\""), NULL));
	cr_assert(ne(ptr, strstr(second, "\"numa\": true"), NULL));
	manifest_fini(&again);
	free(second);
}

Test(manifest, every_flipped_bit_is_damaged_or_says_the_same)
{
	struct digest was, is;

	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0));
	manifest_fini(&again);
	for (size_t bit = 0; bit < 8 * len; bit++) {
		int ret;

		text[bit / 8] ^= (char)(1u << bit % 8);
		ret = manifest_parse(&again, text, len, &err);
		if (ret == 0) { /* white space became other white space */
			char *second;
			size_t second_len;

			cr_assert(eq(int, manifest_format(&again, &second, &second_len, &err),
				     0));
			manifest_fini(&again);
			text[bit / 8] ^= (char)(1u << bit % 8);
			cr_assert(eq(int, digest_of(&was, text, len, &err), 0));
			cr_assert(eq(int, digest_of(&is, second, second_len, &err), 0));
			cr_expect(digest_equal(&was, &is), "bit %zu", bit);
			free(second);
			continue;
		}
		cr_expect(eq(int, ret, -ERR_DAMAGED), "bit %zu: %s", bit, err.text);
		text[bit / 8] ^= (char)(1u << bit % 8);
	}
}

Test(manifest, every_shorter_text_is_damaged)
{
	size_t full = len;

	for (len = 0; len < full - 1; len++) /* without its last newline it is whole */
		cr_expect(eq(int, parse(), -ERR_DAMAGED), "%zu", len);
	len = full;
	cr_assert(eq(int, parse(), 0));
}

Test(manifest, another_format_version_is_unfit_if_it_is_intact)
{
	lie("", "format_version", "2");
	lie("", "shape", "\"who knows\"");
	cr_assert(eq(int, parse(), -ERR_UNFIT));
	cr_assert(eq(str, err.text, "format version 2, this thaw reads 1"));
	*strstr(text, "2") = '3';
	cr_assert(eq(int, parse(), -ERR_DAMAGED));
}

#define A_LIMIT(size, burst, refill)                                                           \
	"{\"size\": " size ", \"burst\": " burst ", \"refill_ms\": " refill "}"
#define A_DRIVE(key, value)                                                                    \
	"[{\"id\": \"a\", \"path\": \"/a\", \"size_bytes\": 512, \"read_only\": true, "        \
	"\"sha256\": "                                                                         \
	"\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\", "               \
	"\"" key "\": " value "}]"

static const struct {
	const char *group, *key, *value, *says;
} lies[] = {
	{ "", "format_version", "0", "format_version is missing or not 1 or more" },
	{ "", "format_version", "\"1\"", "format_version is missing or not 1 or more" },
	{ "", "id", NULL, "id is missing, expected 32 lower-case hex digits" },
	{ "", "id", "\"00112233445566778899AABBCCDDEEFF\"",
	  "id is of another type, expected 32 lower-case hex digits" },
	{ "", "parent", "\"12\"", NULL },
	{ "", "parent", "\"00112233445566778899aabbccddeeff\"",
	  "parent and parent_sha256: expected both or neither" },
	{ "", "parent_sha256", "\"12\"",
	  "parent_sha256 is of another type, expected 64 lower-case hex digits" },
	{ "", "parent_sha256",
	  "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"",
	  "parent and parent_sha256: expected both or neither" },
	{ "", "created", "\"yesterday\"", NULL },
	{ "", "created", "\"2026-01-31 12:00:00Z\"", NULL },
	{ "", "thaw_version", "\"a version that nobody would give a program\"",
	  "thaw_version has 42 bytes, largest allowed is 31" },
	{ "", "guest", "7", "guest.kind is missing, expected a string" },
	{ "guest", "args", "{}", "guest.args is of another type, expected a list" },
	{ "guest", "args", "[\"a\", 1]", "guest.args[1] is not a string" },
	{ "shape", "vcpus", "0", "shape.vcpus is 0, expected 1..64" },
	{ "shape", "vcpus", "-1", "shape.vcpus is -1, expected 1..64" },
	{ "shape", "vcpus", "65", "shape.vcpus is 65, expected 1..64" },
	{ "shape", "vcpus", "1.0", "shape.vcpus is of another type, expected a whole number" },
	{ "shape", "tsc_khz", "4294967296", NULL },
	{ "shape", "xcr0", "231", "shape.xcr0 is of another type, expected a string" },
	{ "shape", "xcr0", "\"0xE7\"",
	  "shape.xcr0 is '0xE7', expected 0x and up to 16 lower-case hex digits" },
	{ "shape", "xcr0", "\"0x\"", NULL },
	{ "shape", "xcr0", "\"0x00112233445566778\"", NULL },
	{ "shape", "cpuid_sha256", "\"ab\"", NULL },
	{ "shape", "xsave_size_bytes", "575", NULL },
	{ "shape", "regions", "[]", "memory.ram_bytes is 4194304, shape.regions have 0" },
	{ "shape", "regions", "[{\"gpa\": 0}]",
	  "shape.regions[0].size_bytes is missing, expected a whole number" },
	{ "shape", "regions", "[{\"gpa\": 4096, \"size_bytes\": 4194304}]", NULL },
	{ "shape", "regions",
	  "[{\"gpa\": 0, \"size_bytes\": 70368744177664}, "
	  "{\"gpa\": 0, \"size_bytes\": 4194304}]",
	  NULL },
	{ "shape", "regions", "[{\"gpa\": 70368744177664, \"size_bytes\": 4194304}]", NULL },
	{ "shape", "regions", "[1,2,3,4,5]",
	  "shape.regions has 5 elements, largest allowed is 4" },
	{ "", "devices", "[7]", "devices[0] is of another type, expected a string" },
	{ "", "drives", "7", "drives is of another type, expected a list" },
	{ "", "drives", "[1,2,3,4,5,6,7,8,9]", "drives has 9 elements, largest allowed is 8" },
	{ "", "drives", "[{}]", "drives[0].id is missing, expected a string" },
	{ "", "drives", "[{\"id\": \"a\", \"path\": \"/a\", \"size_bytes\": 511}]",
	  "drives[0].size_bytes is 511, expected 512..9223372036854775807" },
	{ "", "drives", A_DRIVE("bytes_limit", "null"),
	  "drives[0].bytes_limit is of another type, expected an object" },
	{ "", "drives", A_DRIVE("ops_limit", "5"),
	  "drives[0].ops_limit is of another type, expected an object" },
	{ "", "drives", A_DRIVE("bytes_limit", "{}"),
	  "drives[0].bytes_limit.size is missing, expected a whole number" },
	{ "", "drives", A_DRIVE("bytes_limit", A_LIMIT("0", "0", "1000")),
	  "drives[0].bytes_limit.size is 0, expected 1..9223372036854775807" },
	{ "", "drives", A_DRIVE("bytes_limit", A_LIMIT("-1", "0", "1000")), NULL },
	{ "", "drives", A_DRIVE("bytes_limit", A_LIMIT("1", "-1", "1000")), NULL },
	{ "", "drives", A_DRIVE("ops_limit", A_LIMIT("1.5", "0", "1000")),
	  "drives[0].ops_limit.size is of another type, expected a whole number" },
	{ "", "drives", A_DRIVE("ops_limit", A_LIMIT("1", "0", "0")),
	  "drives[0].ops_limit.refill_ms is 0, expected 1..4294967295" },
	{ "", "drives", A_DRIVE("ops_limit", A_LIMIT("1", "0", "4294967296")), NULL },
	{ "", "drives", A_DRIVE("ops_limit", "{\"size\": 1, \"refill_ms\": 1}"),
	  "drives[0].ops_limit.burst is missing, expected a whole number" },
	{ "cpu", "features", "[]", "cpu.features is of another type, expected an object" },
	{ "cpu", "features", "{\"1.ecx\": \"0x100000000\"}", NULL },
	{ "cpu", "features", "{\"a name that is too long\": \"0x1\"}",
	  "cpu.features: 'a name that is too long' is not the name of a word" },
	{ "", "files", NULL, "files.state.bin.size_bytes is missing, expected a whole number" },
	{ "files", "state.bin", "{\"size_bytes\": 200}",
	  "files.state.bin.sha256 is missing, expected 64 lower-case hex digits" },
	{ "files", "memory.raw", "{}", NULL },
	{ "files", "wset.bin", "{\"size_bytes\": 0}", NULL },
	{ "files", "wset.bin", "{\"size_bytes\": 80}",
	  "files.wset.bin.sha256 is missing, expected 64 lower-case hex digits" },
	{ "memory", "ram_bytes", "8388608",
	  "memory.ram_bytes is 8388608, shape.regions have 4194304" },
	{ "memory", "stored_pages", "1025", NULL },
	{ "memory", "stored_pages", "41",
	  "memory.nonzero_bytes is 163840, expected 4096 for each of 41 pages" },
};

Test(manifest, lies_are_damage_and_name_the_key)
{
	char *was = malloc(len);
	size_t was_len = len;

	memcpy(was, text, len);
	for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
		lie(lies[i].group, lies[i].key, lies[i].value);
		cr_expect(eq(int, parse(), -ERR_DAMAGED), "%s.%s %s", lies[i].group,
			  lies[i].key, lies[i].value);
		if (lies[i].says)
			cr_expect(eq(str, err.text, (char *)lies[i].says));
		free(text);
		text = malloc(was_len);
		memcpy(text, was, was_len);
		len = was_len;
	}
	free(was);
}

/* As those of images that were made before there were limits. */
Test(manifest, a_drive_without_limits_says_nothing_of_them)
{
	static const struct rate_limit none;

	lie("", "drives", A_DRIVE("later", "1"));
	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0), "%s", err.text);
	cr_expect(eq(int, memcmp(&again.drives[0].bytes, &none, sizeof(none)), 0));
	cr_expect(eq(int, memcmp(&again.drives[0].ops, &none, sizeof(none)), 0));
	free(text);
	cr_assert(eq(int, manifest_format(&again, &text, &len, &err), 0), "%s", err.text);
	text[len - 1] = '\0';
	cr_expect(eq(ptr, strstr(text, "_limit"), NULL));
	manifest_fini(&again);
}

Test(manifest, text_that_is_not_one_object_is_damaged)
{
	static const char *const texts[] = {
		"",
		"[]",
		"7",
		"{",
		"{} {}",
		"{\"a\": 1, \"a\": 1}",
		"{\"sha256\": 7}",
		"{\"sha256\": \"\xff\"}",
		"{\"sha256\": \"\\u0000\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect(eq(int, manifest_parse(&again, texts[i], strlen(texts[i]), &err),
			     -ERR_DAMAGED),
			  "%s", texts[i]);
	cr_assert(eq(int, manifest_parse(&again, "{}", MANIFEST_MAX_SIZE + 1, &err),
		     -ERR_DAMAGED));
	cr_assert(eq(str, err.text, "has 1048577 bytes, largest allowed is 1048576"));
}

Test(manifest, a_value_that_could_not_be_read_back_is_not_written)
{
	static const char *const bad[] = { "\xff\xfe" };
	char *none;

	m.vcpus = 65;
	cr_assert(eq(int, manifest_format(&m, &none, &len, &err), -EINVAL));
	cr_assert(eq(str, err.text, "new manifest: shape.vcpus is 65, expected 1..64"));
	cr_assert(eq(ptr, none, NULL));
	m.vcpus = 1;
	strcpy(m.host_kernel, "\xff");
	cr_assert(eq(int, manifest_format(&m, &none, &len, &err), -EINVAL));
	strcpy(m.host_kernel, "6");
	strcpy(m.host_kernel, "6\x1b[31m");
	cr_assert(eq(int, manifest_format(&m, &none, &len, &err), -EINVAL));
	cr_assert(eq(str, err.text, "new manifest: host.kernel has control character 0x1b"));
	cr_assert(eq(int, manifest_set_args(&m, 1, bad, &err), -EINVAL));
	cr_assert(eq(str, err.text, "argument 0 is not UTF-8"));
	cr_assert(eq(int, manifest_set_args(&m, MANIFEST_MAX_ARGS + 1, bad, &err), -E2BIG));
}

Test(manifest, a_stamp_is_new_every_time)
{
	char first[MANIFEST_ID_SIZE];

	cr_assert(eq(int, manifest_stamp(&m, &err), 0));
	strcpy(first, m.id);
	cr_assert(eq(int, manifest_stamp(&m, &err), 0));
	cr_assert(ne(str, first, m.id));
	strcpy(m.parent, first);
	m.parent_sha256.bytes[31] = 7;
	format();
	cr_assert(eq(int, manifest_parse(&again, text, len, &err), 0), "%s", err.text);
	cr_assert(eq(str, again.parent, first));
	manifest_fini(&again);
}
