/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "tests/helpers_image.h"
#include "tools/thawd/function_log.h"

TestSuite(function_log, .timeout = 20);

static char dir[256];

static const char *read_on(struct function_log_mark *mark, size_t max)
{
	static char text[100];

	text[function_log_read(dir, "f", mark, text, max)] = '\0';
	return text;
}

static void add(const char *text)
{
	struct function_log l;

	function_log_open(&l, dir, "f");
	function_log_add(&l, text, strlen(text));
	function_log_close(&l);
}

Test(function_log, a_log_is_read_on_where_it_was_left)
{
	struct function_log_mark mark = { 0 };
	const char *now, *old;

	scratch_make(dir);
	now = scratch_path(dir, "f.log");
	old = scratch_path(dir, "f.log.1");
	cr_expect(eq(str, (char *)read_on(&mark, 4), ""));
	add("one two");
	cr_expect(eq(str, (char *)read_on(&mark, 4), " two"));
	cr_expect(eq(str, (char *)read_on(&mark, 4), ""));
	add(" three");
	cr_expect(eq(str, (char *)read_on(&mark, 4), " thr"));
	cr_assert(eq(int, rename(now, old), 0));
	add("four");
	cr_expect(eq(str, (char *)read_on(&mark, 4), "ee"));
	cr_expect(eq(str, (char *)read_on(&mark, 4), "four"));
	cr_expect(eq(str, (char *)read_on(&mark, 4), ""));
	/* Renamed twice: what was not read is gone. */
	mark.inode = 1;
	cr_expect(eq(str, (char *)read_on(&mark, 4), "four"));
	/* A place beyond the end, of a client that makes up its own. */
	mark.offset = UINT64_MAX;
	cr_expect(eq(str, (char *)read_on(&mark, 4), ""));
	scratch_remove(dir);
}
