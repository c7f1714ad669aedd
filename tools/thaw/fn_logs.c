/* SPDX-License-Identifier: Apache-2.0 */
/* fn_logs.c - `thaw fn logs`: what a function printed. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"

#define FOLLOW_EVERY_S 1 /* ours */
#define MARK_SIZE      64

enum { LOGS_FOLLOW = FN_OWN };

static const struct option options[] = {
	FN_OPTIONS,
	{ "follow", no_argument, NULL, LOGS_FOLLOW },
	{ 0 },
};

static int take(void *to, int opt, const char *value)
{
	bool *follow = to;

	(void)opt;
	(void)value;
	*follow = true;
	return 0;
}

/* @body ends in a NUL then. */
static int print(const struct fn *f, struct blob *body, struct err *err)
{
	int ret = blob_append(body, "", 1, UINT64_MAX, err);
	const char *text = (const char *)body->data;

	if (ret < 0)
		return cmd_fail(ret, err);
	if (f->json)
		return cmd_print_json(stdout, json_pack("{s:o*}", "log", cmd_json_text(text)));
	fwrite(text, 1, body->size - 1, stdout);
	return EXIT_OK;
}

/* What comes after @mark; "": the end of what there is. @mark is where the next call goes on. */
static int show(struct fn *f, const char *name, char mark[MARK_SIZE], bool always)
{
	char path[CLIENT_MAX_PATH];
	struct blob body = { 0 };
	const char *next;
	struct err err;
	int code = EXIT_OK,
	    ret = client_path(&f->client, path, &err, FN_FUNCTION "/log?After=%s", name, mark);

	if (ret == 0)
		ret = client_call(&f->client,
				  &(struct client_ask){ .method = "GET", .path = path }, &body,
				  &err);
	if (ret < 0) {
		code = cmd_fail(ret, &err);
	} else {
		next = client_header(&f->client, "X-Thaw-Log-Mark");
		snprintf(mark, MARK_SIZE, "%s", next ? next : "");
		if (body.size > 0 || always)
			code = print(f, &body, &err);
	}
	blob_free(&body);
	return code;
}

static int run_logs(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = { "", options, take, 1, 1, "NAME" };
	char mark[MARK_SIZE] = "";
	bool follow = false;
	int code = fn_parse(f, argc, argv, &syntax, &follow);

	if (code == 0)
		code = show(f, argv[optind], mark, !follow);
	/* A reader that has gone is told of by cmd_end. */
	while (follow && code == 0 && fflush(stdout) == 0) {
		sleep(FOLLOW_EVERY_S);
		code = show(f, argv[optind], mark, false);
	}
	return code;
}

const struct fn_verb fn_logs = { "logs", run_logs };
