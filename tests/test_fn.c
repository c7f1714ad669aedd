/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"
#include "tools/thaw/guard.h"

TestSuite(fn, .timeout = 20);

/* ---- options ---- */

enum { OPT_ONE = FN_OWN, OPT_OTHER };

static const struct option options[] = {
	FN_OPTIONS,
	{ "one", required_argument, NULL, OPT_ONE },
	{ "other", no_argument, NULL, OPT_OTHER },
	{ 0 },
};

static char taken[100];

static int take(void *to, int opt, const char *value)
{
	strcat(taken, opt == OPT_ONE ? "one=" : "other");
	strcat(taken, value ? value : "");
	strcat(taken, " ");
	return to ? *(int *)to : 0;
}

static const struct fn_syntax anywhere = { "", options, take, 0, 2, "A B" };
static const struct fn_syntax before = { "+", options, take, 0, 0, NULL };

static int parse(struct fn *f, const struct fn_syntax *s, const char *line, void *to)
{
	static char words[200];
	static char *argv[10];
	int argc = 0;

	strcpy(words, line);
	for (char *w = strtok(words, " "); w; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	taken[0] = '\0';
	optind = 0;
	*f = (struct fn){ .verb = "verb" };
	return s == &before ? fn_options(f, argc, argv, s, to) : fn_parse(f, argc, argv, s, to);
}

Test(fn, options_may_stand_anywhere)
{
	struct fn f;

	cr_expect(eq(int,
		     parse(&f, &anywhere, "verb a --one 1 b --json --other --at unix:/x", NULL),
		     0));
	cr_expect(eq(str, taken, "one=1 other "));
	cr_expect(f.json);
	cr_expect(eq(str, (char *)f.at, "unix:/x"));
	cr_expect(eq(int, optind, 7));
	client_close(&f.client);
}

Test(fn, options_may_have_to_stand_before)
{
	struct fn f;

	cr_expect(eq(int, parse(&f, &before, "verb --one 1 a --other", NULL), 0));
	cr_expect(eq(str, taken, "one=1 "));
	cr_expect(eq(int, optind, 3));
}

Test(fn, wrong_ones_are_refused)
{
	static const char *const cases[] = {
		"verb --two", "verb --one", "verb --other=1", "verb -x",
		"verb a b c", "verb --at",  "verb --o",
	};
	int stop = EXIT_USAGE;
	struct fn f;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_expect(eq(int, parse(&f, &anywhere, cases[i], NULL), EXIT_USAGE), "%s",
			  cases[i]);
	/* The first that is wrong is the last that is looked at. */
	cr_expect(eq(int, parse(&f, &anywhere, "verb --other --other", &stop), EXIT_USAGE));
	cr_expect(eq(str, taken, "other "));
}

/* ---- the client ---- */

Test(fn, places_of_thawd)
{
	static const struct {
		const char *at;
		int ret;
	} cases[] = {
		{ "unix:/run/x", 0 },	       { "http://127.0.0.1:9001", 0 },
		{ "unix:x", -EINVAL },	       { "unix:", -EINVAL },
		{ "https://x", -EINVAL },      { "/run/x", -EINVAL },
		{ "127.0.0.1:9001", -EINVAL },
	};
	struct client c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cr_expect(eq(int, client_open(&c, cases[i].at, NULL), cases[i].ret), "%s",
			  cases[i].at);
		client_close(&c);
	}
	unsetenv("THAWD");
	cr_assert(eq(int, client_open(&c, NULL, NULL), 0));
	cr_expect(eq(str, (char *)c.at, "unix:/run/thawd/thawd.sock"));
	client_close(&c);
	setenv("THAWD", "unix:/elsewhere", 1);
	cr_assert(eq(int, client_open(&c, NULL, NULL), 0));
	cr_expect(eq(str, (char *)c.at, "unix:/elsewhere"));
	client_close(&c);
}

Test(fn, names_are_encoded)
{
	char path[CLIENT_MAX_PATH], longest[CLIENT_MAX_PATH];
	struct client c;

	cr_assert(eq(int, client_open(&c, "unix:/x", NULL), 0));
	cr_assert(eq(int, client_path(&c, path, NULL, "/a/%s/b?c=%s", "x/y z", "$1&"), 0));
	cr_expect(eq(str, path, "/a/x%2Fy%20z/b?c=%241%26"));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_expect(eq(int, client_path(&c, path, NULL, "/%s", longest), -ENAMETOOLONG));
	cr_expect(eq(int, client_path(&c, path, NULL, "/%s", longest + 1), 0));
	client_close(&c);
}

/* ---- guards ---- */

static int return_7(void *arg)
{
	(void)arg;
	return 7;
}

static int die(void *arg)
{
	raise(*(int *)arg);
	return 0;
}

static int end_parent(void *arg)
{
	(void)arg;
	kill(getppid(), SIGTERM); /* which passes it on */
	pause();
	return 0;
}

Test(fn, a_guard_hears_of_every_end)
{
	int killed = SIGKILL;

	cr_expect(eq(int, guard_run(return_7, NULL), 7));
	cr_expect(eq(int, guard_run(die, &killed), 128 + SIGKILL));
	cr_expect(eq(int, guard_run(end_parent, NULL), 128 + SIGTERM));
}
