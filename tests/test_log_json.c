/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOG "test"
#include "tools/thawd/log_json.h"

static void begin(void)
{
	log_set_format(log_json);
}

TestSuite(log_json, .init = begin);

/* The objects that are flushed; each line is one. The caller's. */
static json_t *flushed(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	FILE *f = fdopen(fd, "r");
	json_t *lines = json_array();
	static char line[2 * LOG_LINE_SIZE];

	cr_assert(ne(ptr, f, NULL));
	log_flush(fd);
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		json_error_t error;
		json_t *doc = json_loads(line, JSON_REJECT_DUPLICATES, &error);

		cr_assert(ne(ptr, doc, NULL), "%s: %s", error.text, line);
		cr_assert(eq(int, json_typeof(doc), JSON_OBJECT), "%s", line);
		cr_expect(eq(chr, line[strlen(line) - 1], '\n'));
		json_array_append_new(lines, doc);
	}
	fclose(f);
	return lines;
}

static const char *text(const json_t *lines, size_t i, const char *key)
{
	const char *value = json_string_value(json_object_get(json_array_get(lines, i), key));

	return value ? value : "(none)";
}

Test(log_json, a_line_says_when_how_bad_where_and_what)
{
	time_t before = time(NULL);
	struct tm tm = { 0 };
	const char *end;
	json_t *lines;

	log_warn("disk %d of %s", 3, "five");
	lines = flushed();
	cr_assert(eq(sz, json_array_size(lines), 1));
	cr_expect(eq(str, (char *)text(lines, 0, "level"), "warn"));
	cr_expect(eq(str, (char *)text(lines, 0, "component"), "test"));
	cr_expect(eq(str, (char *)text(lines, 0, "message"), "disk 3 of five"));
	cr_expect(eq(sz, json_object_size(json_array_get(lines, 0)), 4));
	end = strptime(text(lines, 0, "time"), "%Y-%m-%dT%H:%M:%S", &tm);
	cr_assert(ne(ptr, (void *)end, NULL));
	cr_expect(eq(sz, strlen(end), strlen(".123456Z")));
	cr_expect(eq(int, strspn(end + 1, "0123456789"), 6));
	cr_expect(eq(chr, end[7], 'Z'));
	cr_expect(le(i64, timegm(&tm) - before, 1));
	cr_expect(ge(i64, timegm(&tm) - before, 0));
	json_decref(lines);
}

Test(log_json, a_line_says_what_it_is_about)
{
	const struct log_about about = { "echo", "some-id", "00-a-b-01" };
	json_t *lines;

	log_line(LOG_ERROR, LOG, &about, "crashed");
	log_warn_of("sql", "late");
	lines = flushed();
	cr_expect(eq(str, (char *)text(lines, 0, "level"), "error"));
	cr_expect(eq(str, (char *)text(lines, 0, "function"), "echo"));
	cr_expect(eq(str, (char *)text(lines, 0, "request_id"), "some-id"));
	cr_expect(eq(str, (char *)text(lines, 0, "traceparent"), "00-a-b-01"));
	cr_expect(eq(str, (char *)text(lines, 1, "function"), "sql"));
	cr_expect(eq(str, (char *)text(lines, 1, "message"), "late"));
	cr_expect(eq(sz, json_object_size(json_array_get(lines, 1)), 5));
	json_decref(lines);
}

/* flushed() checks that all of it is JSON. */
Test(log_json, any_bytes_are_told)
{
	char bytes[LOG_MESSAGE_SIZE];
	json_t *lines;

	log_warn("%s", "\"quoted\"\t\\ and\nbroken\x01\x7f");
	log_warn("%s", "gr\xc3\xbc\xc3\x9f");
	log_warn("%s", "half a letter \xc3");
	for (int i = 0; i < 256; i += 16) {
		memset(bytes, i ? i : 1, sizeof(bytes) - 1);
		bytes[sizeof(bytes) - 1] = '\0';
		log_line(LOG_WARN, bytes, &(struct log_about){ bytes, bytes, bytes }, "%s",
			 bytes);
	}
	lines = flushed();
	cr_assert(eq(sz, json_array_size(lines), 3 + 16));
	cr_expect(eq(str, (char *)text(lines, 0, "message"),
		     "\"quoted\"\t\\ and\nbroken\x01\x7f"));
	cr_expect(eq(str, (char *)text(lines, 1, "message"), "gr\xc3\xbc\xc3\x9f"));
	cr_expect(eq(str, (char *)text(lines, 2, "message"), "half a letter ?"));
	json_decref(lines);
}

Test(log_json, lines_that_were_dropped_are_counted_by_one_of_them)
{
	json_t *lines;

	for (int i = 0; i < 1000; i++)
		log_warn("line %d", i);
	lines = flushed();
	cr_expect(ne(ptr, strstr(text(lines, 0, "message"), "older lines dropped"), NULL));
	cr_expect(eq(str, (char *)text(lines, 0, "component"), "log"));
	cr_expect(eq(str, (char *)text(lines, json_array_size(lines) - 1, "message"),
		     "line 999"));
	json_decref(lines);
}
