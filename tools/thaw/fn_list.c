/* SPDX-License-Identifier: Apache-2.0 */
/* fn_list.c - `thaw fn list`: what functions there are. */
#include <stdio.h>
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"

enum { LIST_VERSIONS = FN_OWN };

static const struct option options[] = {
	FN_OPTIONS,
	{ "versions", no_argument, NULL, LIST_VERSIONS },
	{ 0 },
};

static int take(void *to, int opt, const char *value)
{
	bool *all_versions = to;

	(void)opt;
	(void)value;
	*all_versions = true;
	return 0;
}

/* Add the functions after @marker, and say in @marker where the next page begins; "": nowhere. */
static int add_page(json_t *all, struct fn *f, bool all_versions, char marker[CLIENT_MAX_PATH])
{
	char path[CLIENT_MAX_PATH];
	struct err err;
	json_t *page;
	int code, ret = client_path(&f->client, path, &err,
				    "/2015-03-31/functions/?Marker=%s&FunctionVersion=%s",
				    marker, all_versions ? "ALL" : "");

	if (ret < 0)
		return cmd_fail(ret, &err);
	code = fn_call(f, &(struct client_ask){ .method = "GET", .path = path }, &page);
	if (code != 0)
		return code;
	json_array_extend(all, json_object_get(page, "Functions"));
	snprintf(marker, CLIENT_MAX_PATH, "%s", fn_text(page, "NextMarker"));
	json_decref(page);
	return EXIT_OK;
}

static long long number(const json_t *doc, const char *key)
{
	return json_integer_value(json_object_get(doc, key));
}

static void print(const json_t *all)
{
	const json_t *f;
	size_t i;

	printf("%-24s %-8s %10s %9s %-28s %s\n", "NAME", "VERSION", "SIZE KiB", "TIMEOUT s",
	       "MODIFIED", "DESCRIPTION");
	json_array_foreach(all, i, f)
	{
		printf("%-24s %-8s %10.1f %9lld %-28s %s\n", fn_text(f, "FunctionName"),
		       fn_text(f, "Version"), (double)number(f, "CodeSize") / 1024,
		       number(f, "Timeout"), fn_text(f, "LastModified"),
		       fn_text(f, "Description"));
	}
}

static int run_list(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = { "", options, take, 0, 0, "no argument" };
	char marker[CLIENT_MAX_PATH] = "";
	bool all_versions = false;
	json_t *all;
	int code = fn_parse(f, argc, argv, &syntax, &all_versions);

	if (code != 0)
		return code;
	all = json_array();
	do {
		code = add_page(all, f, all_versions, marker);
	} while (code == 0 && *marker);
	if (code == 0 && f->json)
		return cmd_print_json(stdout, json_pack("{s:o}", "Functions", all));
	if (code == 0)
		print(all);
	json_decref(all);
	return code;
}

const struct fn_verb fn_list = { "list", run_list };
