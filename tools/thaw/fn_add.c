/* SPDX-License-Identifier: Apache-2.0 */
/* fn_add.c - `thaw fn add`: a function of an image, or of a program that is made into one first. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"
#include "tools/thaw/guard.h"
#include "tools/thaw/tree.h"

enum {
	ADD_TIMEOUT = FN_OWN,
	ADD_MIN,
	ADD_MAX,
	ADD_IDLE_TIMEOUT,
	ADD_PROVISIONED,
	ADD_WEIGHT,
	ADD_RESERVED,
	ADD_MODE,
	ADD_SLOT_MEMORY,
	ADD_DESCRIPTION,
	ADD_MEM, /* from here on: of thaw build */
	ADD_FILES,
	ADD_ENV,
	ADD_SAMPLE
};

static const struct option options[] = {
	FN_OPTIONS,
	{ "timeout", required_argument, NULL, ADD_TIMEOUT },
	{ "min", required_argument, NULL, ADD_MIN },
	{ "max", required_argument, NULL, ADD_MAX },
	{ "idle-timeout", required_argument, NULL, ADD_IDLE_TIMEOUT },
	{ "provisioned", required_argument, NULL, ADD_PROVISIONED },
	{ "weight", required_argument, NULL, ADD_WEIGHT },
	{ "reserved", required_argument, NULL, ADD_RESERVED },
	{ "mode", required_argument, NULL, ADD_MODE },
	{ "slot-memory", required_argument, NULL, ADD_SLOT_MEMORY },
	{ "description", required_argument, NULL, ADD_DESCRIPTION },
	{ "mem", required_argument, NULL, ADD_MEM },
	{ "files", required_argument, NULL, ADD_FILES },
	{ "env", required_argument, NULL, ADD_ENV },
	{ "sample", required_argument, NULL, ADD_SAMPLE },
	{ 0 },
};

/* Which numbers may be is thawd's to say. */
static const struct {
	const char *option, *key;
} numbers[] = {
	[ADD_TIMEOUT - FN_OWN] = { "--timeout", "timeout_ms" },
	[ADD_MIN - FN_OWN] = { "--min", "min" },
	[ADD_MAX - FN_OWN] = { "--max", "max" },
	[ADD_IDLE_TIMEOUT - FN_OWN] = { "--idle-timeout", "idle_timeout_ms" },
	[ADD_PROVISIONED - FN_OWN] = { "--provisioned", "provisioned" },
	[ADD_WEIGHT - FN_OWN] = { "--weight", "weight" },
	[ADD_RESERVED - FN_OWN] = { "--reserved", "reserved" },
};

struct add {
	struct fn *fn;
	const char *name;
	const char *source; /* IMAGE or PROGRAM; NULL: only settings change */
	bool is_image;
	json_t *body;	     /* what thawd is told */
	json_t *environment; /* the program's, for whoever looks at the function */
	char **build;	     /* of thaw build: its command line */
	int nbuild;
	char dir[1024]; /* for an image that is made here; "": none was */
};

/* ---- options ---- */

static int set(struct add *a, const char *option, const char *key, json_t *value)
{
	if (json_object_set_new(a->body, key, value) == 0)
		return 0;
	return cmd_usage(&cmd_fn, "add: %s: no UTF-8, or no memory", option);
}

static int take_number(struct add *a, int opt, const char *value)
{
	const char *option = numbers[opt - FN_OWN].option;
	const char *key = numbers[opt - FN_OWN].key;
	uint64_t number;
	int code;

	if (opt == ADD_RESERVED && strcmp(value, "none") == 0)
		return set(a, option, key, json_integer(-1));
	code = opt_number(&cmd_fn, option, value, UINT32_MAX, &number);
	return code != 0 ? code : set(a, option, key, json_integer((json_int_t)number));
}

static int take_size(struct add *a, const char *value)
{
	uint64_t size;
	int code = opt_size(&cmd_fn, "--slot-memory", value, &size);

	if (code == 0 && size > INT64_MAX)
		code = cmd_usage(&cmd_fn, "add: --slot-memory is %s, which no host has", value);
	return code != 0 ? code
			 : set(a, "--slot-memory", "memory_bytes",
			       json_integer((json_int_t)size));
}

/* Said now, not after a minute of initialisation. */
static int take_mode(struct add *a, const char *value)
{
	if (strcmp(value, "rewind") != 0 && strcmp(value, "reuse") != 0 &&
	    strcmp(value, "fresh") != 0)
		return cmd_usage(&cmd_fn,
				 "add: --mode is '%s', expected rewind, reuse or fresh", value);
	return set(a, "--mode", "mode", json_string(value));
}

static int take_env(struct add *a, const char *value)
{
	const char *equals = strchr(value, '=');
	json_t *text = equals ? json_string(equals + 1) : NULL;

	if (!equals || equals == value)
		return cmd_usage(&cmd_fn, "add: --env is '%s', expected NAME=VALUE", value);
	if (json_object_setn_new(a->environment, value, (size_t)(equals - value), text) < 0)
		return cmd_usage(&cmd_fn, "add: --env: no UTF-8, or no memory");
	return 0;
}

static int take_build(struct add *a, int opt, const char *value)
{
	static const char *const names[] = { "--mem", "--files", "--env", "--sample" };
	int code = opt == ADD_ENV ? take_env(a, value) : 0;

	a->build[a->nbuild++] = (char *)(uintptr_t)names[opt - ADD_MEM];
	a->build[a->nbuild++] = (char *)(uintptr_t)value;
	return code;
}

static int take(void *to, int opt, const char *value)
{
	struct add *a = to;

	if (opt >= ADD_MEM)
		return take_build(a, opt, value);
	if (opt == ADD_MODE)
		return take_mode(a, value);
	if (opt == ADD_SLOT_MEMORY)
		return take_size(a, value);
	if (opt == ADD_DESCRIPTION)
		return set(a, "--description", "description", json_string(value));
	return take_number(a, opt, value);
}

/* ---- arguments ---- */

enum { BUILD_OWN = 6 }; /* build, -o, its value, --no-sync, -- and NULL */

static int begin(struct add *a, int argc)
{
	a->body = json_object();
	a->environment = json_object();
	a->build = calloc(2 * (size_t)argc + BUILD_OWN, sizeof(*a->build));
	if (!a->body || !a->environment || !a->build) {
		fprintf(stderr, "thaw: no memory for a function\n");
		return EXIT_FAILED;
	}
	a->build[a->nbuild++] = (char *)(uintptr_t) "build";
	a->build[a->nbuild++] = (char *)(uintptr_t) "-o";
	a->build[a->nbuild++] = a->dir;
	a->build[a->nbuild++] = (char *)(uintptr_t) "--no-sync"; /* thawd's copy is synced */
	return 0;
}

static int take_source(struct add *a, const char *source)
{
	struct stat st;

	if (stat(source, &st) < 0) {
		fprintf(stderr, "thaw: %s: %m\n", source);
		return EXIT_FAILED;
	}
	a->source = source;
	a->is_image = S_ISDIR(st.st_mode);
	return 0;
}

/* What follows a program is the program's. */
static void take_program(struct add *a, int argc, char **argv)
{
	a->build[a->nbuild++] = (char *)(uintptr_t) "--";
	for (int i = optind - 1; i < argc; i++)
		a->build[a->nbuild++] = argv[i];
	optind = argc;
}

/* NAME [IMAGE | PROGRAM [ARG]...], with options before and between. */
static int parse(struct add *a, int argc, char **argv)
{
	static const struct fn_syntax syntax = { .order = "+",
						 .options = options,
						 .take = take };
	int noptions, code = fn_options(a->fn, argc, argv, &syntax, a);

	while (code == 0 && optind < argc) {
		if (a->is_image)
			return cmd_usage(&cmd_fn, "add: '%s' is one too many after an image",
					 argv[optind]);
		if (!a->name)
			a->name = argv[optind];
		else
			code = take_source(a, argv[optind]);
		optind++;
		if (a->source && !a->is_image)
			take_program(a, argc, argv);
		else if (code == 0)
			code = fn_options(a->fn, argc, argv, &syntax, a);
	}
	noptions = a->nbuild - (BUILD_OWN - 2);
	if (code == 0 && !a->name)
		return cmd_usage(&cmd_fn, "add: NAME is missing");
	if (code == 0 && (!a->source || a->is_image) && noptions > 0)
		return cmd_usage(&cmd_fn, "add: --mem, --files, --env and --sample are of a "
					  "program, which there is none of");
	return code;
}

/* ---- the work ---- */

static int put(struct add *a, const char *image)
{
	struct client_ask ask = { .method = "PUT" };
	char path[CLIENT_MAX_PATH];
	auto_free char *whole = image ? realpath(image, NULL) : NULL;
	auto_free char *text = NULL;
	struct err err;
	json_t *doc;
	int code = 0, ret = client_path(&a->fn->client, path, &err, FN_FUNCTION, a->name);

	if (ret == 0 && image && !whole)
		ret = err_sys(&err, "%s", image);
	if (ret < 0)
		return cmd_fail(ret, &err);
	if (image)
		code = set(a, image, "image", json_string(whole));
	/* It comes with the image; what was before is not true any more. */
	if (image && code == 0)
		code = set(a, "--env", "environment", json_incref(a->environment));
	if (code != 0)
		return code;
	text = json_dumps(a->body, JSON_COMPACT);
	ask.path = path;
	ask.body = text;
	ask.len = text ? strlen(text) : 0;
	code = fn_call(a->fn, &ask, &doc);
	if (code != 0)
		return code;
	if (a->fn->json)
		return cmd_print_json(stdout, doc);
	printf("%s: %.1f KiB, changed %s\n", a->name,
	       (double)json_integer_value(json_object_get(doc, "CodeSize")) / 1024,
	       fn_text(doc, "LastModified"));
	json_decref(doc);
	return EXIT_OK;
}

/* Whether thawd is there, and may have a function of that name: said before the work. */
static int ask_first(struct add *a)
{
	char path[CLIENT_MAX_PATH];
	struct blob body = { 0 };
	struct err err;
	int ret = client_path(&a->fn->client, path, &err, FN_LAMBDA, a->name);

	if (ret == 0)
		ret = client_call(&a->fn->client,
				  &(struct client_ask){ .method = "GET", .path = path }, &body,
				  &err);
	blob_free(&body);
	return ret < 0 && ret != -ENOENT ? cmd_fail(ret, &err) : EXIT_OK;
}

/* `thaw build`, without its report: that is of an image that nobody will see. */
static int build(struct add *a)
{
	auto_close int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	auto_close int out = dup(STDOUT_FILENO);
	int code;

	if (nowhere < 0 || out < 0 || dup2(nowhere, STDOUT_FILENO) < 0) {
		perror("thaw: /dev/null");
		return EXIT_FAILED;
	}
	optind = 0; /* getopt_long begins anew */
	opterr = 1;
	code = cmd_build.run(a->nbuild, a->build);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	return code;
}

/* In a process of its own, which may be killed. */
static int build_and_put(void *arg)
{
	struct add *a = arg;
	int code = ask_first(a);

	if (code == 0)
		code = build(a);
	return code != 0 ? code : put(a, a->dir);
}

static int add_program(struct add *a)
{
	const char *tmp = getenv("TMPDIR");
	char root[sizeof(a->dir) - 16];
	int code;

	snprintf(root, sizeof(root), "%s/thaw-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(root)) {
		fprintf(stderr, "thaw: %s: %m\n", root);
		return EXIT_FAILED;
	}
	snprintf(a->dir, sizeof(a->dir), "%s/image", root);
	code = guard_run(build_and_put, a);
	tree_remove(root);
	return code;
}

static int run_add(struct fn *f, int argc, char **argv)
{
	struct add a = { .fn = f };
	int code = begin(&a, argc);

	if (code == 0)
		code = parse(&a, argc, argv);
	if (code == 0)
		code = fn_open(f);
	if (code == 0)
		code = !a.source || a.is_image ? put(&a, a.source) : add_program(&a);
	json_decref(a.body);
	json_decref(a.environment);
	free(a.build);
	return code;
}

const struct fn_verb fn_add = { "add", run_add };
