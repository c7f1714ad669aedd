/* SPDX-License-Identifier: Apache-2.0 */
/* test_store.c - functions, versions and aliases: what Lambda promises of them, and what is refused. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/util.h"
#include "tests/helpers_store.h"

TestSuite(store, .init = depot_make, .fini = depot_remove, .timeout = 60);

/* ---- functions ---- */

Test(store, has_what_was_put_also_after_it_was_opened_again)
{
	struct store_config c = { .memory = 128 << 20,
				  .timeout_ms = 900000,
				  .mode = POLICY_FRESH,
				  .min = 2,
				  .max = 7,
				  .idle_timeout_ms = 60000,
				  .weight = 1000,
				  .description = "gr\u00fc\u00dfe",
				  .environment = "{ \"b\": \"2\", \"a\":\"x\\ny\" }" };
	char revision[STAMP_UUID_SIZE];

	depot_image("one", false);
	depot_must_put("hello-World_1", "one", &c);
	strcpy(revision, depot.rec.revision);
	depot_open();
	cr_assert(eq(int, depot_resolve("hello-World_1", NULL), 0), "%s", depot.err.text);
	cr_expect(eq(str, depot.rec.name, "hello-World_1"));
	cr_expect(eq(i64, depot.rec.version, 0));
	cr_expect(eq(str, depot.rec.image, depot.man.id));
	cr_expect(eq(str, depot.rec.revision, revision));
	cr_expect(eq(u64, depot.rec.config.memory, 128 << 20));
	cr_expect(eq(u32, depot.rec.config.timeout_ms, 900000));
	cr_expect(eq(int, depot.rec.config.mode, POLICY_FRESH));
	cr_expect(eq(u32, depot.rec.config.min, 2));
	cr_expect(eq(u32, depot.rec.config.max, 7));
	cr_expect(eq(u32, depot.rec.config.idle_timeout_ms, 60000));
	cr_expect(eq(u32, depot.rec.config.weight, 1000));
	cr_expect(eq(str, depot.rec.config.description, "gr\u00fc\u00dfe"));
	cr_expect(eq(str, depot.rec.config.environment, "{\"a\":\"x\\ny\",\"b\":\"2\"}"));
	cr_expect(eq(int, depot.rec.is_reserved, 0));
	cr_expect(eq(u32, depot.rec.provisioned, 0));
	depot_expect_whole();
	cr_expect(eq(int, strlen(depot.rec.modified), 28), "%s", depot.rec.modified);
	cr_expect(eq(str, depot.rec.modified + 23, "+0000"));
	cr_expect(depot.rec.revision[14] == '4', "%s", depot.rec.revision);
}

/* As in docs: openssl dgst -sha256 -binary manifest.json | base64 */
Test(store, the_code_digest_is_the_one_of_the_manifest)
{
	char command[512], digest[64] = "";
	FILE *pipe;

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	snprintf(command, sizeof(command),
		 "sha256sum <%s/one/manifest.json | cut -c-64 | tr -d '\\n' |"
		 " sed 's/../\\\\x&/g' | xargs -0 printf | base64",
		 depot.dir);
	pipe = popen(command, "r");
	cr_assert(ne(ptr, fgets(digest, sizeof(digest), pipe), NULL));
	pclose(pipe);
	digest[strcspn(digest, "\n")] = '\0';
	cr_expect(eq(str, depot.rec.code_sha256, digest));
}

Test(store, a_change_of_the_config_keeps_the_image_and_the_other_way_round)
{
	struct store_config c;
	char image[MANIFEST_ID_SIZE], revision[STAMP_UUID_SIZE];

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	cr_expect(eq(u32, depot.rec.config.timeout_ms, 3000));
	strcpy(image, depot.rec.image);
	strcpy(revision, depot.rec.revision);
	c = depot.rec.config;
	c.timeout_ms = 5000;
	depot_must_put("f", NULL, &c);
	cr_expect(eq(str, depot.rec.image, image));
	cr_expect(ne(str, depot.rec.revision, revision));
	depot_image("two", false);
	depot_must_put("f", "two", NULL);
	cr_expect(eq(str, depot.rec.image, depot.man.id));
	cr_expect(eq(u32, depot.rec.config.timeout_ms, 5000));
	cr_expect(eq(int, depot_images(), 1), "the old one is gone");
}

Test(store, what_must_be_there_or_must_not_is_minded)
{
	struct store_change change = { .how = STORE_UPDATE, .dir = depot_path("one") };
	char revision[STAMP_UUID_SIZE];

	depot_image("one", false);
	depot_expect_error(store_put(depot.store, "f", &change, &depot.rec, &depot.err), ENOENT,
			   "there is no function f");
	change.how = STORE_CREATE;
	cr_assert(eq(int, store_put(depot.store, "f", &change, &depot.rec, &depot.err), 0),
		  "%s", depot.err.text);
	depot_expect_error(store_put(depot.store, "f", &change, &depot.rec, &depot.err), EEXIST,
			   "there is a function f already");
	strcpy(revision, depot.rec.revision);
	change = (struct store_change){ .how = STORE_UPDATE, .revision = revision };
	cr_assert(eq(int, store_put(depot.store, "f", &change, &depot.rec, &depot.err), 0),
		  "%s", depot.err.text);
	depot_expect_error(store_put(depot.store, "f", &change, &depot.rec, &depot.err), ESTALE,
			   "the revision is ");
	depot_expect_error(depot_put("g", NULL, NULL), EINVAL, "a new function needs an image");
}

Test(store, bad_names_are_refused)
{
	char name[70], alias[140];
	static const char *const bad[] = {
		"", "a b", "a/b", "..", "h\u00e9", "$LATEST", "a:1"
	};

	depot_image("one", false);
	memset(name, 'x', sizeof(name));
	memset(alias, 'x', sizeof(alias));
	name[64] = alias[128] = '\0';
	depot_must_put(name, "one", NULL);
	cr_expect(eq(int, depot_point(name, alias, 0), 0), "%s", depot.err.text);
	name[64] = 'x';
	name[65] = '\0';
	depot_expect_error(depot_put(name, "one", NULL), EINVAL,
			   "has 65 characters, expected 1 to 64");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		depot_expect_error(depot_put(bad[i], "one", NULL), EINVAL, "");
		depot_expect_error(store_delete(depot.store, bad[i], &depot.err), EINVAL, "");
	}
	depot_must_put("f", "one", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		depot_expect_error(depot_point("f", bad[i], 0), EINVAL, "");
	depot_expect_error(depot_point("f", "12", 0), EINVAL, "digits only are a version");
	depot_expect_error(depot_resolve("f", "0"), EINVAL, "they count from 1");
	depot_expect_error(depot_resolve("f", "99999999999999999999"), EINVAL, "is no version");
	depot_expect_error(depot_resolve("f", "7"), ENOENT, "function f has no version 7");
	depot_expect_error(depot_resolve("f", "live"), ENOENT, "function f has no alias live");
	depot_expect_error(depot_resolve("g", "live"), ENOENT, "there is no function g");
}

static void expect_bad_config(const struct store_config *c, const char *says)
{
	depot_expect_error(depot_put("f", NULL, c), EINVAL, says);
}

Test(store, bad_values_are_refused)
{
	struct store_config c;

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
#define BAD(change, says)                                                                      \
	do {                                                                                   \
		store_config_default(&c);                                                      \
		change;                                                                        \
		expect_bad_config(&c, says);                                                   \
	} while (0)
	BAD(c.timeout_ms = 0, "timeout_ms is 0, expected 1 to 900000");
	BAD(c.memory = 1ull << 47, "memory is 140737488355328");
	BAD((c.max = 3, c.min = 4), "min is 4, expected 0 to 3");
	BAD(c.max = 70000, "max is 70000");
	BAD(c.weight = 1001, "weight is 1001");
	BAD(c.mode = 3, "mode is 3");
	BAD(strcpy(c.description, "\xff"), "not UTF-8");
	BAD(strcpy(c.environment, "{\"a\":1}"), "environment: a is not a string");
	BAD(strcpy(c.environment, "[]"), "not a JSON object");
	BAD(strcpy(c.environment, "{\"a\":\"x\""), "not a JSON object: ");
#undef BAD
	cr_expect(eq(int, depot_resolve("f", NULL), 0));
	cr_expect(eq(u32, depot.rec.config.timeout_ms, 3000), "nothing has changed");
}

/* ---- versions and aliases ---- */

Test(store, versions_are_numbered_stay_and_are_not_made_twice)
{
	char first[MANIFEST_ID_SIZE];

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	strcpy(first, depot.rec.image);
	depot_must_publish("f", 1);
	depot_must_publish("f", 1);
	depot_image("two", false);
	depot_must_put("f", "two", NULL);
	depot_must_publish("f", 2);
	cr_expect(
		eq(int,
		   store_publish(depot.store, "f", "other words", NULL, &depot.rec, &depot.err),
		   0));
	cr_expect(eq(i64, depot.rec.version, 3));
	cr_expect(eq(str, depot.rec.config.description, "other words"));
	cr_expect(eq(int, depot_resolve("f", NULL), 0));
	cr_expect(eq(str, depot.rec.config.description, ""));
	cr_expect(eq(int, depot_resolve("f", "1"), 0));
	cr_expect(eq(str, depot.rec.image, first));
	depot_expect_whole();
	cr_expect(eq(int, depot_images(), 2));
	depot_expect_error(
		store_publish(depot.store, "f", NULL, "no such", &depot.rec, &depot.err),
		ESTALE, "no such");
	depot_expect_error(depot_publish("g"), ENOENT, "there is no function g");
}

Test(store, a_number_is_never_used_again)
{
	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_must_publish("f", 1);
	cr_expect(eq(int, store_delete_version(depot.store, "f", 1, &depot.err), 0), "%s",
		  depot.err.text);
	depot_must_publish("f", 2);
	cr_expect(eq(int, store_delete(depot.store, "f", &depot.err), 0), "%s", depot.err.text);
	depot_must_put("f", "one", NULL);
	depot_must_publish("f", 3);
}

Test(store, an_alias_points_to_a_version_that_then_stays)
{
	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_must_publish("f", 1);
	cr_expect(eq(int,
		     store_publish(depot.store, "f", "second", NULL, &depot.rec, &depot.err),
		     0));
	cr_assert(eq(int, depot_point("f", "live", 1), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_resolve("f", "live"), 0));
	cr_expect(eq(i64, depot.rec.version, 1));
	depot_expect_error(store_delete_version(depot.store, "f", 1, &depot.err), EBUSY,
			   "version 1 of f is what alias live points to");
	depot_expect_error(depot_point("f", "live", 9), ENOENT, "function f has no version 9");
	cr_assert(eq(int, depot_point("f", "live", 2), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_delete_version(depot.store, "f", 1, &depot.err), 0), "%s",
		  depot.err.text);
	depot_expect_error(store_delete_version(depot.store, "f", 1, &depot.err), ENOENT,
			   "has no version 1");
	depot_expect_error(store_delete_version(depot.store, "f", 0, &depot.err), EINVAL,
			   "$LATEST of f");
	cr_expect(eq(int, store_delete_alias(depot.store, "f", "live", &depot.err), 0), "%s",
		  depot.err.text);
	depot_expect_error(store_delete_alias(depot.store, "f", "live", &depot.err), ENOENT,
			   "no alias live");
	cr_assert(eq(int, depot_point("f", "test", 0), 0), "%s", depot.err.text);
	cr_expect(eq(int, depot_resolve("f", "test"), 0));
	cr_expect(eq(i64, depot.rec.version, 0));
}

Test(store, an_alias_has_a_revision_too)
{
	struct store_alias a = { .name = "live", .description = "words" }, b;
	char revision[STAMP_UUID_SIZE];

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_expect_error(
		store_put_alias(depot.store, "f", STORE_UPDATE, &a, NULL, &depot.err), ENOENT,
		"no alias live");
	cr_assert(eq(int, store_put_alias(depot.store, "f", STORE_CREATE, &a, NULL, &depot.err),
		     0));
	strcpy(revision, a.revision);
	depot_expect_error(
		store_put_alias(depot.store, "f", STORE_CREATE, &a, NULL, &depot.err), EEXIST,
		"has an alias live already");
	cr_expect(eq(int,
		     store_put_alias(depot.store, "f", STORE_UPDATE, &a, revision, &depot.err),
		     0));
	depot_expect_error(
		store_put_alias(depot.store, "f", STORE_UPDATE, &a, revision, &depot.err),
		ESTALE, "the revision is ");
	cr_assert(eq(int, store_get_alias(depot.store, "f", "live", &b, &depot.err), 0), "%s",
		  depot.err.text);
	cr_expect(eq(str, b.description, "words"));
	cr_expect(eq(str, b.revision, a.revision));
}

Test(store, slots_are_reserved_and_provisioned)
{
	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	depot_must_publish("f", 1);
	cr_assert(eq(int, depot_point("f", "live", 1), 0), "%s", depot.err.text);
	cr_expect(eq(int, store_reserve(depot.store, "f", 0, &depot.err), 0), "%s",
		  depot.err.text);
	cr_expect(eq(int, store_provision(depot.store, "f", "1", 2, &depot.err), 0), "%s",
		  depot.err.text);
	cr_expect(eq(int, store_provision(depot.store, "f", "live", 3, &depot.err), 0), "%s",
		  depot.err.text);
	depot_open();
	cr_expect(eq(int, depot_resolve("f", "1"), 0));
	cr_expect(eq(u32, depot.rec.provisioned, 5), "its own and its alias's");
	cr_expect(depot.rec.is_reserved && depot.rec.reserved == 0);
	depot_must_put("f", "one", NULL);
	cr_expect(depot.rec.is_reserved, "a change of the code changes nothing there");
	cr_expect(eq(int, store_reserve(depot.store, "f", -1, &depot.err), 0), "%s",
		  depot.err.text);
	cr_expect(eq(int, store_provision(depot.store, "f", "live", 0, &depot.err), 0), "%s",
		  depot.err.text);
	cr_expect(eq(int, depot_resolve("f", "live"), 0));
	cr_expect(eq(u32, depot.rec.provisioned, 2));
	cr_expect(not(depot.rec.is_reserved));
	depot_expect_error(store_reserve(depot.store, "g", 1, &depot.err), ENOENT,
			   "no function g");
	depot_expect_error(store_reserve(depot.store, "f", 70000, &depot.err), EINVAL,
			   "70000 slots");
	depot_expect_error(store_provision(depot.store, "f", "2", 1, &depot.err), ENOENT,
			   "no version 2");
	depot_expect_error(store_provision(depot.store, "f", "two", 1, &depot.err), ENOENT,
			   "no alias two");
	depot_expect_error(store_provision(depot.store, "f", NULL, -1, &depot.err), EINVAL,
			   "-1 slots");
}

Test(store, lists_come_in_pages)
{
	static struct store_record page[4];
	static struct store_alias aliases[4];
	char name[16];

	depot_image("one", false);
	for (int i = 0; i < 7; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		depot_must_put(name, "one", NULL);
		if (i > 0) {
			snprintf(name, sizeof(name), "%d", i);
			cr_expect(eq(int,
				     store_publish(depot.store, "f0", name, NULL, &depot.rec,
						   &depot.err),
				     0));
		}
		snprintf(name, sizeof(name), "a%d", i);
		cr_expect(eq(int, depot_point("f0", name, i), 0), "%s", depot.err.text);
	}
	cr_expect(eq(int, store_list(depot.store, NULL, 4, page, &depot.err), 4));
	cr_expect(eq(str, page[3].name, "f3"));
	cr_expect(eq(int, store_list(depot.store, "f3", 4, page, &depot.err), 3));
	cr_expect(eq(str, page[2].name, "f6"));
	cr_expect(eq(int, store_list(depot.store, "f6", 4, page, &depot.err), 0));
	cr_expect(eq(int, store_list_versions(depot.store, "f0", -1, 4, page, &depot.err), 4));
	cr_expect(eq(i64, page[0].version, 0));
	cr_expect(eq(int, store_list_versions(depot.store, "f0", 3, 4, page, &depot.err), 3));
	cr_expect(eq(i64, page[2].version, 6));
	cr_expect(eq(int, store_list_aliases(depot.store, "f0", "a3", 4, aliases, &depot.err),
		     3));
	cr_expect(eq(str, aliases[0].name, "a4"));
	cr_expect(eq(i64, aliases[0].version, 4));
	depot_expect_error(store_list_versions(depot.store, "g", -1, 4, page, &depot.err),
			   ENOENT, "no function g");
	depot_expect_error(store_list(depot.store, NULL, 0, page, &depot.err), EINVAL,
			   "a page of 0 entries");
}

Test(store, each_change_is_counted)
{
	uint64_t before = store_changes(depot.store);
	struct store_alias alias = { .name = "live", .version = 1 };

#define must_count(...)                                                                        \
	do {                                                                                   \
		cr_expect(eq(int, __VA_ARGS__, 0), "%s", depot.err.text);                      \
		cr_expect(ne(u64, store_changes(depot.store), before));                        \
		before = store_changes(depot.store);                                           \
	} while (0)

	depot_image("one", false);
	depot_must_put("f", "one", NULL);
	cr_expect(ne(u64, store_changes(depot.store), before), "put");
	must_count(store_publish(depot.store, "f", NULL, NULL, &depot.rec, &depot.err));
	must_count(store_put_alias(depot.store, "f", STORE_EITHER, &alias, NULL, &depot.err));
	must_count(store_provision(depot.store, "f", "live", 1, &depot.err));
	must_count(store_reserve(depot.store, "f", 3, &depot.err));
	must_count(store_delete_alias(depot.store, "f", "live", &depot.err));
	must_count(store_delete_version(depot.store, "f", 1, &depot.err));
	must_count(store_delete(depot.store, "f", &depot.err));
#undef must_count
	cr_expect(eq(int, depot_resolve("f", NULL), -ENOENT));
	cr_expect(eq(u64, store_changes(depot.store), before), "asking changes nothing");
}
