/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tools/thaw/timeline.h"

static struct timeline timeline = { .tier = "map",
				    .why = "asked \"for\"",
				    .image = "/images/a b" };
static char dir[256];
static struct samples samples;
static struct err err;

/* Two starts: one with three stamps, one with one. */
static void setup(void)
{
	struct phases p[2] = {
		{ .at = { [PHASE_REQUEST] = 5000000,
			  [PHASE_SHELL] = 5100000,
			  [PHASE_STATE] = 5350500,
			  [PHASE_FIRST_RESPONSE] = 6000000 } },
		{ .at = { [PHASE_REQUEST] = 9000000, [PHASE_SHELL] = 9000100 } },
	};

	scratch_make(dir);
	cr_assert(eq(int, samples_init(&samples, 2), 0));
	samples_add(&samples, &p[0]);
	samples_add(&samples, &p[1]);
}

static void teardown(void)
{
	samples_fini(&samples);
	scratch_remove(dir);
}

TestSuite(timeline, .init = setup, .fini = teardown);

static char *written(const char *name)
{
	const char *path = scratch_path(dir, name);
	size_t len;
	char *text;

	cr_assert(eq(int, timeline_write(&timeline, &samples, path, &err), 0), "%s", err.text);
	text = (char *)bytes_read(path, &len);
	text[len] = '\0';
	return text;
}

Test(timeline, text_has_each_stamp_since_the_request_and_since_the_one_before)
{
	char *text = written("starts.txt");

	cr_expect(eq(str, text,
		     "/images/a b: tier map (asked \"for\")\n"
		     "     100.0 us  +    100.0  shell\n"
		     "     350.5 us  +    250.5  state\n"
		     "    1000.0 us  +    649.5  first_response\n"
		     "       0.1 us  +      0.1  shell\n"));
	free(text);
}

Test(timeline, text_ends_with_what_was_emulated_if_anything_was)
{
	static const char line[] =
		"\n      4711     instructions of the guest's kernel emulated, p50\n";
	char *text;

	timeline.emulated = (struct stats){ .n = 2, .p50 = 4711, .max = 5000 };
	text = written("starts.txt");
	cr_expect(eq(str, text + strlen(text) - strlen(line), (char *)(uintptr_t)line));
	free(text);
}

/* Anything but .json at the end is text, also ".json" in the middle and a short name. */
Test(timeline, only_names_that_end_in_json_are_traces)
{
	static const char *const names[] = { "a.json.txt", "json", "x" };

	for (int i = 0; i < 3; i++) {
		char *text = written(names[i]);

		cr_expect(eq(chr, text[0], '/'), "%s", names[i]);
		free(text);
	}
}

static void expect_event(const json_t *event, const char *name, double ts, double dur, int tid)
{
	cr_expect(eq(str, (char *)json_string_value(json_object_get(event, "name")),
		     (char *)name));
	cr_expect(eq(str, (char *)json_string_value(json_object_get(event, "ph")), "X"));
	cr_expect(epsilon_eq(dbl, json_number_value(json_object_get(event, "ts")), ts, 1e-6));
	cr_expect(epsilon_eq(dbl, json_number_value(json_object_get(event, "dur")), dur, 1e-6));
	cr_expect(eq(i64, json_integer_value(json_object_get(event, "tid")), tid));
	cr_expect(eq(i64, json_integer_value(json_object_get(event, "pid")), 1));
}

Test(timeline, a_json_file_is_a_chrome_trace)
{
	char *text = written("starts.json");
	json_error_t where;
	json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, &where);
	const json_t *events = json_object_get(doc, "traceEvents");
	const json_t *other = json_object_get(doc, "otherData");

	cr_assert(ne(ptr, doc, NULL), "%s", where.text);
	cr_assert(eq(sz, json_array_size(events), 4));
	expect_event(json_array_get(events, 0), "shell", 5000.0, 100.0, 1);
	expect_event(json_array_get(events, 1), "state", 5100.0, 250.5, 1);
	expect_event(json_array_get(events, 2), "first_response", 5350.5, 649.5, 1);
	expect_event(json_array_get(events, 3), "shell", 9000.0, 0.1, 2);
	cr_expect(eq(str, (char *)json_string_value(json_object_get(other, "tier")), "map"));
	cr_expect(eq(str, (char *)json_string_value(json_object_get(other, "tier_reason")),
		     "asked \"for\""));
	cr_expect(eq(str, (char *)json_string_value(json_object_get(other, "image")),
		     "/images/a b"));
	json_decref(doc);
	free(text);
}

Test(timeline, a_file_that_cannot_be_made_is_named)
{
	cr_expect(
		eq(int, timeline_write(&timeline, &samples, "/no/such/x.json", &err), -ENOENT));
	cr_expect(eq(str, err.text, "/no/such/x.json: No such file or directory"));
}

Test(timeline, a_full_disk_is_reported)
{
	cr_expect(eq(int, timeline_write(&timeline, &samples, "/dev/full", &err), -ENOSPC));
	cr_expect(eq(str, err.text, "write /dev/full: No space left on device"));
}
