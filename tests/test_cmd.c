/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util.h"
#include "tools/thaw/cmd.h"

static const struct cmd cmd = { .name = "test" };

/* What was written to stderr since the last call. */
static char told[512];

static int pipe_fds[2];

static void setup(void)
{
	cr_assert(eq(int, pipe(pipe_fds), 0));
	cr_assert(ge(int, dup2(pipe_fds[1], STDERR_FILENO), 0));
}

static const char *take_told(void)
{
	ssize_t n;

	fflush(stderr);
	cr_assert(eq(i64, write(pipe_fds[1], "", 1), 1)); /* so that a read never waits */
	n = read(pipe_fds[0], told, sizeof(told));
	cr_assert(gt(i64, n, 0));
	return told;
}

TestSuite(cmd, .init = setup, .timeout = 20);

Test(cmd, sizes)
{
	static const struct {
		const char *text;
		uint64_t bytes;
		bool refused;
	} cases[] = {
		{ "0", 0, false },
		{ "4096", 4096, false },
		{ "0064", 64, false }, /* decimal, whatever it begins with */
		{ "1K", 1024, false },
		{ "64M", 64u << 20, false },
		{ "3G", UINT64_C(3) << 30, false },
		{ "18446744073709551615", UINT64_MAX, false },
		{ "18014398509481983K", UINT64_C(18014398509481983) << 10, false },
		{ "17179869183G", UINT64_C(17179869183) << 30, false },
		{ "18446744073709551616", 0, true },
		{ "18014398509481984K", 0, true },
		{ "17179869184G", 0, true },
		{ "99999999999999999999999999G", 0, true },
		{ "", 0, true },
		{ "M", 0, true },
		{ "64MB", 0, true },
		{ "64m", 0, true },
		{ "64 M", 0, true },
		{ "64M ", 0, true },
		{ " 64M", 0, true },
		{ "-1", 0, true },
		{ "+1", 0, true },
		{ "-1M", 0, true },
		{ "1.5G", 0, true },
		{ "0x10", 0, true },
		{ "1T", 0, true },
		{ "64KM", 0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t bytes = 12345;
		int code = opt_size(&cmd, "--mem", cases[i].text, &bytes);
		char want[200] = "";

		cr_expect(eq(int, code, cases[i].refused ? EXIT_USAGE : EXIT_OK), "'%s'",
			  cases[i].text);
		if (cases[i].refused)
			snprintf(want, sizeof(want),
				 "thaw test: --mem is '%s', expected a size such as 64M; try "
				 "'thaw help test'\n",
				 cases[i].text);
		else
			cr_expect(eq(u64, bytes, cases[i].bytes), "'%s'", cases[i].text);
		cr_expect(eq(str, (char *)take_told(), want));
	}
}

Test(cmd, numbers)
{
	static const struct {
		const char *text;
		uint64_t max, value;
		bool refused;
	} cases[] = {
		{ "0", 0, 0, false },
		{ "1", 0, 0, true },
		{ "1000", 1000, 1000, false },
		{ "1001", 1000, 0, true },
		{ "18446744073709551615", UINT64_MAX, UINT64_MAX, false },
		{ "18446744073709551616", UINT64_MAX, 0, true },
		{ "", 10, 0, true },
		{ "-1", UINT64_MAX, 0, true },
		{ "+1", 10, 0, true },
		{ " 1", 10, 0, true },
		{ "1 ", 10, 0, true },
		{ "1K", 10000, 0, true },
		{ "0x1", 10, 0, true },
		{ "one", 10, 0, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t value = 12345;
		int code = opt_number(&cmd, "-n", cases[i].text, cases[i].max, &value);
		char want[200] = "";

		cr_expect(eq(int, code, cases[i].refused ? EXIT_USAGE : EXIT_OK), "'%s'",
			  cases[i].text);
		if (cases[i].refused)
			snprintf(want, sizeof(want),
				 "thaw test: -n is '%s', expected a number up to %ju; try "
				 "'thaw help test'\n",
				 cases[i].text, (uintmax_t)cases[i].max);
		else
			cr_expect(eq(u64, value, cases[i].value), "'%s'", cases[i].text);
		cr_expect(eq(str, (char *)take_told(), want));
	}
}

Test(cmd, errors_have_the_exit_codes_of_the_manual)
{
	static const struct {
		int ret, code;
	} cases[] = {
		{ -ERR_UNFIT, 1 },   { -ERR_NO_KVM, 3 },    { -ERR_DAMAGED, 4 },
		{ -ERR_CRASHED, 5 }, { -ERR_TIMED_OUT, 6 }, { -ENOENT, 1 },
		{ -ENOMEM, 1 },	     { -EIO, 1 },	    { -EINVAL, 1 },
		{ -EINTR, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(eq(int, exit_code(cases[i].ret), cases[i].code), "%d", cases[i].ret);
}

Test(cmd, a_failure_is_one_line)
{
	struct err err = { .text = "image x: short read" };

	cr_expect(eq(int, cmd_fail(-ERR_DAMAGED, &err), EXIT_DAMAGED));
	cr_expect(eq(str, (char *)take_told(), "thaw: image x: short read\n"));
}

Test(cmd, json_is_one_line)
{
	cmd_print_json(stderr, json_pack("{si s[ii]}", "a", 1, "b", 2, 3));
	cr_expect(eq(str, (char *)take_told(), "{\"a\":1,\"b\":[2,3]}\n"));
}
