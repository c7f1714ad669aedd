/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LOG "test"
#include "engine/log.h"

/* What a flush writes. The caller frees. */
static char *flushed(void)
{
	int fd = memfd_create("log", MFD_CLOEXEC);
	char *text;
	off_t len;

	cr_assert(ge(int, fd, 0));
	log_flush(fd);
	len = lseek(fd, 0, SEEK_END);
	text = calloc(1, (size_t)len + 1);
	cr_assert(eq(i64, pread(fd, text, (size_t)len, 0), len));
	close(fd);
	return text;
}

static int count_lines(const char *text)
{
	int n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

Test(log, a_line_has_time_file_and_text)
{
	unsigned long long s, us;
	char file[16], rest[32];
	char *text;

	log_warn("disk %d of %s", 3, "five");
	text = flushed();
	cr_expect(eq(int, sscanf(text, "[%llu.%6llu] %15[^:]: %31[^\n]", &s, &us, file, rest),
		     4));
	cr_expect(eq(str, file, "test"));
	cr_expect(eq(str, rest, "disk 3 of five"));
	cr_expect(eq(int, count_lines(text), 1));
	cr_expect(eq(chr, text[strlen(text) - 1], '\n'));
	free(text);
}

Test(log, a_line_says_what_it_is_about)
{
	const struct log_about request = { .function = "echo", .request = "id" };
	char *text;

	log_warn_of("sql", "late");
	log_line(LOG_WARN, LOG, &request, "crashed");
	text = flushed();
	cr_expect(ne(ptr, strstr(text, "] test: sql: late\n"), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, "] test: echo: id: crashed\n"), NULL), "%s", text);
	free(text);
}

Test(log, lines_above_the_level_are_dropped)
{
	char *text;

	log_info("by default not said");
	log_set_level(LOG_INFO);
	log_info("said");
	log_debug("still not said");
	log_set_level(LOG_ERROR);
	log_warn("no longer said");
	text = flushed();
	cr_expect(eq(int, count_lines(text), 1), "%s", text);
	cr_expect(ne(ptr, strstr(text, ": said\n"), NULL), "%s", text);
	free(text);
}

Test(log, the_ring_keeps_the_newest_lines_in_order)
{
	int lines, last = 0;
	char *text, *at;

	for (int i = 0; i < 1000; i++)
		log_warn("line %d.", i);
	text = flushed();
	lines = count_lines(text) - 1; /* the first one is the note */
	cr_assert(gt(int, lines, 10));
	cr_assert(lt(int, lines, 1000));
	at = strstr(text, "] log: ");
	cr_assert(ne(ptr, at, NULL), "%s", text);
	cr_assert(eq(int, sscanf(at, "] log: %d older lines dropped\n", &last), 1), "%s", text);
	cr_expect(eq(int, last, 1000 - lines));
	for (at = strchr(text, '\n') + 1; *at; at = strchr(at, '\n') + 1) {
		int i = -1;

		sscanf(strstr(at, "test: "), "test: line %d.", &i);
		cr_assert(eq(int, i, last));
		last++;
	}
	cr_expect(eq(int, last, 1000));
	free(text);
}

Test(log, a_flush_empties_the_ring_even_if_nobody_can_read_it)
{
	char *text;

	for (int i = 0; i < 1000; i++)
		log_warn("lost");
	log_flush(-1);
	log_warn("kept");
	text = flushed();
	cr_expect(eq(int, count_lines(text), 1), "%s", text);
	free(text);
	text = flushed();
	cr_expect(eq(str, text, ""));
	free(text);
}

Test(log, a_long_line_is_cut_and_still_ends_in_a_newline)
{
	char many[2000], *text;

	memset(many, 'x', sizeof(many) - 1);
	many[sizeof(many) - 1] = '\0';
	log_warn("%s", many);
	log_line(LOG_WARN, many, NULL, "a file name that long is cut, too");
	log_warn("short");
	text = flushed();
	cr_expect(eq(int, count_lines(text), 3), "%s", text);
	cr_expect(lt(sz, strlen(text), 600));
	cr_expect(ne(ptr, strstr(text, ": short\n"), NULL));
	free(text);
}
