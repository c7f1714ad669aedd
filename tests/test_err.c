/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/err.h"

Test(err, set_starts_a_sentence_and_returns_the_negative_code)
{
	struct err err = { .text = "something older and longer than what follows" };

	cr_expect(eq(int, err_set(&err, ERANGE, "size %d is above %d", 7, 5), -ERANGE));
	cr_expect(eq(str, err.text, "size 7 is above 5"));
}

Test(err, sys_adds_the_reason_and_returns_errno)
{
	struct err err = { 0 };

	errno = ENOENT;
	cr_expect(eq(int, err_sys(&err, "open %s", "/a/b"), -ENOENT));
	cr_expect(eq(str, err.text, "open /a/b: No such file or directory"));
}

Test(err, wrap_puts_the_outer_context_first)
{
	struct err err = { 0 };
	int ret = err_set(&err, EIO, "short read");

	ret = err_wrap(&err, ret, "frame %u", 3u);
	ret = err_wrap(&err, ret, "image %s", "x");
	cr_expect(eq(int, ret, -EIO));
	cr_expect(eq(str, err.text, "image x: frame 3: short read"));
}

/* 300 characters, more than any sentence holds. */
static const char *long_text(void)
{
	static char text[301];

	memset(text, 'x', 300);
	return text;
}

Test(err, sentences_that_are_too_long_are_cut_and_end_in_a_nul)
{
	struct {
		struct err err;
		char guard[8];
	} s;

	for (int how = 0; how < 4; how++) {
		memset(&s, 'G', sizeof(s));
		errno = EPERM;
		if (how == 0)
			err_set(&s.err, EIO, "%s", long_text());
		else if (how == 1)
			err_sys(&s.err, "%s", long_text());
		else if (how == 2)
			err_sys(&s.err, "%.235s", long_text()); /* the reason is cut */
		else {
			err_set(&s.err, EIO, "%s", long_text());
			err_wrap(&s.err, -EIO, "outer");
		}
		cr_expect(
			eq(sz, strnlen(s.err.text, sizeof(s.err.text)), sizeof(s.err.text) - 1),
			"case %d", how);
		cr_expect(eq(int, memcmp(s.guard, "GGGGGGGG", 8), 0), "case %d", how);
	}
	cr_expect(eq(int, strncmp(s.err.text, "outer: xxx", 10), 0));
}

Test(err, null_drops_the_sentence_and_keeps_the_code)
{
	errno = EMFILE;
	cr_expect(eq(int, err_sys(NULL, "open"), -EMFILE));
	cr_expect(eq(int, err_set(NULL, EBUSY, "busy"), -EBUSY));
	cr_expect(eq(int, err_wrap(NULL, -EBUSY, "outer"), -EBUSY));
}

/* A program's exit code hangs on them: two of the same would make one of them lie. */
Test(err, codes_with_a_meaning_are_all_different)
{
	const int codes[] = { ERR_DAMAGED, ERR_UNFIT, ERR_NO_KVM, ERR_CRASHED, ERR_TIMED_OUT };

	for (int i = 0; i < 5; i++) {
		for (int k = 0; k < i; k++)
			cr_expect(ne(int, codes[i], codes[k]));
	}
}
