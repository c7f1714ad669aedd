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
	cr_expect(eq(str, (char *)f.place.at, "unix:/x"));
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
		const char *at, *base;
	} cases[] = {
		{ "unix:/run/x", "http://localhost" },
		{ "http://127.0.0.1:9001", "http://127.0.0.1:9001" },
		{ "https://x", "https://x" },
		{ "127.0.0.1:9001", "http://127.0.0.1:9001" },
		{ "[::1]:9001", "http://[::1]:9001" },
		{ "unix:x", NULL },
		{ "unix:/", NULL },
		{ "unix:", NULL },
		{ "/run/x", NULL },
		{ "x", NULL },
		{ "x:", NULL },
		{ ":1", NULL },
		{ "x:y", NULL },
		{ "ftp://x:1", NULL },
	};
	struct client c;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct client_place place = { .at = cases[i].at };
		int ret = client_open(&c, &place, NULL);

		cr_expect(eq(int, ret, cases[i].base ? 0 : -EINVAL), "%s", cases[i].at);
		if (cases[i].base)
			cr_expect(eq(str, c.base, (char *)cases[i].base));
		client_close(&c);
	}
}

Test(fn, the_environment_says_where_thawd_is_else_it_is_at_the_usual_place)
{
	const struct client_place nowhere = { 0 };
	struct client c;

	unsetenv("THAWD");
	cr_assert(eq(int, client_open(&c, &nowhere, NULL), 0));
	cr_expect(eq(str, (char *)c.at, "unix:/run/thawd/thawd.sock"));
	client_close(&c);
	setenv("THAWD", "unix:/elsewhere", 1);
	cr_assert(eq(int, client_open(&c, &nowhere, NULL), 0));
	cr_expect(eq(str, (char *)c.at, "unix:/elsewhere"));
	client_close(&c);
}

Test(fn, certificates_are_not_left_unused)
{
	static const struct client_place places[] = {
		{ .at = "x:1", .cacert = "/f" },
		{ .at = "http://x:1", .cert = "/f" },
		{ .at = "unix:/x", .key = "/f" },
	};
	const struct client_place good = { "https://x:1", "/a", "/b", "/c" };
	struct client c;

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		cr_expect(eq(int, client_open(&c, &places[i], NULL), -EINVAL), "%zu", i);
		client_close(&c);
	}
	cr_expect(eq(int, client_open(&c, &good, NULL), 0));
	client_close(&c);
}

/* As AWS's tools look for them. */
Test(fn, keys_come_from_the_environment)
{
	const struct client_place tcp = { .at = "x:1" }, local = { .at = "unix:/x" };
	struct client c;

	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	setenv("AWS_ACCESS_KEY_ID", "id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "", 1);
	cr_assert(eq(int, client_open(&c, &tcp, NULL), 0));
	cr_expect(eq(ptr, (void *)c.key.id, NULL));
	client_close(&c);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	cr_assert(eq(int, client_open(&c, &tcp, NULL), 0));
	cr_expect(eq(str, (char *)c.key.id, "id"));
	cr_expect(eq(str, (char *)c.key.region, "us-east-1"));
	client_close(&c);
	setenv("AWS_DEFAULT_REGION", "eu-north-1", 1);
	cr_assert(eq(int, client_open(&c, &tcp, NULL), 0));
	cr_expect(eq(str, (char *)c.key.region, "eu-north-1"));
	client_close(&c);
	setenv("AWS_REGION", "eu-west-1", 1);
	cr_assert(eq(int, client_open(&c, &tcp, NULL), 0));
	cr_expect(eq(str, (char *)c.key.region, "eu-west-1"));
	client_close(&c);
	cr_assert(eq(int, client_open(&c, &local, NULL), 0));
	cr_expect(eq(ptr, (void *)c.key.id, NULL));
	client_close(&c);
}

Test(fn, names_are_encoded)
{
	const struct client_place place = { .at = "unix:/x" };
	char path[CLIENT_MAX_PATH], longest[CLIENT_MAX_PATH];
	struct client c;

	cr_assert(eq(int, client_open(&c, &place, NULL), 0));
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
