/* SPDX-License-Identifier: Apache-2.0 */
/* fn_change.c - `thaw fn rm`, `publish` and `alias`: what is one call of thawd's. */
#include <stdio.h>
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"

static const struct option options[] = { FN_OPTIONS, { 0 } };

static int change(struct fn *f, const struct client_ask *ask, const char *what)
{
	json_t *doc;
	int code = fn_call(f, ask, &doc);

	if (code != 0)
		return code;
	if (f->json)
		return cmd_print_json(stdout, doc);
	/* A version's number is what was asked for. */
	if (json_object_get(doc, "Version"))
		printf("%s\n", fn_text(doc, what));
	json_decref(doc);
	return EXIT_OK;
}

static int run_rm(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = { "", options, NULL, 1, 1, "NAME[:ALIAS]" };
	char path[CLIENT_MAX_PATH];
	struct err err;
	char *alias;
	int ret, code = fn_parse(f, argc, argv, &syntax, NULL);

	if (code != 0)
		return code;
	alias = strchr(argv[optind], ':');
	if (alias)
		*alias++ = '\0';
	ret = alias ? client_path(&f->client, path, &err, FN_FUNCTION "/aliases/%s",
				  argv[optind], alias)
		    : client_path(&f->client, path, &err, FN_FUNCTION, argv[optind]);
	if (ret < 0)
		return cmd_fail(ret, &err);
	return change(f, &(struct client_ask){ .method = "DELETE", .path = path }, "");
}

static int run_publish(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = { "", options, NULL, 1, 1, "NAME" };
	char path[CLIENT_MAX_PATH];
	struct err err;
	int ret, code = fn_parse(f, argc, argv, &syntax, NULL);

	if (code != 0)
		return code;
	ret = client_path(&f->client, path, &err, FN_FUNCTION "/versions", argv[optind]);
	if (ret < 0)
		return cmd_fail(ret, &err);
	return change(f, &(struct client_ask){ .method = "POST", .path = path }, "Version");
}

static int run_alias(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = {
		"", options, NULL, 3, 3, "NAME ALIAS VERSION"
	};
	char path[CLIENT_MAX_PATH], body[64];
	struct client_ask ask = { .method = "PUT", .path = path, .body = body };
	struct err err;
	uint64_t version;
	int ret, code = fn_parse(f, argc, argv, &syntax, NULL);

	if (code == 0)
		code = opt_number(&cmd_fn, "VERSION", argv[optind + 2], INT64_MAX, &version);
	if (code != 0)
		return code;
	ret = client_path(&f->client, path, &err, FN_FUNCTION "/aliases/%s", argv[optind],
			  argv[optind + 1]);
	if (ret < 0)
		return cmd_fail(ret, &err);
	ask.len =
		(size_t)snprintf(body, sizeof(body), "{\"version\": %ju}", (uintmax_t)version);
	return change(f, &ask, "");
}

const struct fn_verb fn_rm = { "rm", run_rm };
const struct fn_verb fn_publish = { "publish", run_publish };
const struct fn_verb fn_alias = { "alias", run_alias };
