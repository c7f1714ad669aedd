/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thaw/look_table.h"

#define PLACE "https://functions.example:9001"

static struct look_function functions[] = {
	{ .name = "echo", .version = "$LATEST", .machines = { 1, 2, 3, 4 }, .queued = 5 },
	{ .name = "a-function-whose-name-is-as-long-as-names-may-be-sixty-four-bytes",
	  .version = "live",
	  .machines = { 1e9, 1e9, 1e9, 1e9 },
	  .queued = 1e12 },
};
static struct look now = { .memory_bytes = 3 << 20, .functions = functions, .n = 2 };
static struct look_change changes[] = {
	{ .function = &functions[0],
	  .invocations_per_s = 12.5,
	  .times = { { (double)NAN, (double)NAN }, { 123e-6, 45e-3 }, { 67e-6, 89 } } },
	{ .function = &functions[1],
	  .invocations_per_s = 1e12,
	  .errors_per_s = 1e12,
	  .times = { { 1e9, 1e9 }, { 1e9, 1e9 }, { 1e9, 1e9 } } },
};

/* The caller frees. */
static char *table(unsigned int columns)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	cr_assert(ne(ptr, to, NULL));
	look_table(to, PLACE, &now, changes, columns);
	fclose(to);
	return text;
}

/* In letters. */
static unsigned int widest(const char *text)
{
	unsigned int n = 0, most = 0;

	for (; *text; text++) {
		if (*text == '\n')
			n = 0;
		else
			n += ((unsigned char)*text & 0xc0) != 0x80;
		most = most > n ? most : n;
	}
	return most;
}

static bool has(const char *text, const char *part)
{
	return strstr(text, part) != NULL;
}

Test(look_table, no_line_is_wider_than_there_is_room)
{
	for (unsigned int columns = 1; columns <= 300; columns++) {
		char *text = table(columns);

		cr_expect(le(u32, widest(text), columns), "%u:\n%s", columns, text);
		free(text);
	}
}

Test(look_table, with_room_all_is_shown)
{
	static const char *const parts[] = { PLACE ": ",
					     "QUEUE ",
					     "RESPONSE ",
					     "REWIND ",
					     " MACHINES",
					     " START  IDLE  BUSY   REW QUEUED\n",
					     "123us",
					     "45.0ms",
					     "67us",
					     "89.0s",
					     " 12.5 ",
					     "     1     2     3     4      5\n",
					     "sixty-four-bytes:live " };
	char *text = table(0);

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		cr_expect(has(text, parts[i]), "%s:\n%s", parts[i], text);
	cr_expect(not(has(text, "\xe2\x80\xa6")));
	free(text);
}

/* The rewinds are thawd's own business; whether functions answer, and wait, is not. */
Test(look_table, on_80_columns_names_are_cut_and_the_least_is_left_out)
{
	char *text = table(80);

	cr_expect(has(text, "\nFUNCTION"), "%s", text);
	cr_expect(has(text, "RESPONSE"), "%s", text);
	cr_expect(has(text, "IDLE  BUSY QUEUED\n"), "%s", text);
	cr_expect(has(text, "\na-function-whose\xe2\x80\xa6 "), "%s", text);
	cr_expect(not(has(text, "REWIND")), "%s", text);
	free(text);
}

Test(look_table, a_number_that_is_too_long_is_told_by_its_size)
{
	char *text = table(0);

	cr_expect(has(text, " 1e+12 "), "%s", text);
	cr_expect(has(text, " 1e+09 1e+09 1e+09 1e+09  1e+12\n"), "%s", text);
	free(text);
}
