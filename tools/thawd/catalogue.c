/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/catalogue.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/thawd/store.h"

/* Clients take an ARN apart, so it has all of its parts: a region and an account that are none. */
#define ARN "arn:aws:lambda:local:000000000000:function:"

static json_t *environment(const struct store_record *r)
{
	json_t *variables = json_loads(r->config.environment, 0, NULL);

	return json_pack("{s:o}", "Variables", variables ? variables : json_object());
}

json_t *catalogue_configuration(const struct store_record *r)
{
	char version[NAMES_QUALIFIER_SIZE];
	char arn[sizeof(ARN) + NAMES_FUNCTION_SIZE + NAMES_QUALIFIER_SIZE];

	names_version(version, r->version);
	snprintf(arn, sizeof(arn), ARN "%s%s%s", r->name, r->version ? ":" : "",
		 r->version ? version : "");
	return json_pack(
		"{s:s, s:s, s:s, s:I, s:I, s:I, s:s*, s:s, s:s, s:s, s:s, s:o, s:s, s:s, "
		"s:s, s:[s]}",
		"FunctionName", r->name, "FunctionArn", arn, "Version", version, "CodeSize",
		(json_int_t)r->code_size, "MemorySize", (json_int_t)(r->config.memory >> 20),
		"Timeout", (json_int_t)((r->config.timeout_ms + 999) / 1000), "Description",
		r->config.description, "LastModified", r->modified, "CodeSha256",
		r->code_sha256, "RevisionId", r->revision, "Runtime", "provided", "Environment",
		environment(r), "State", "Active", "LastUpdateStatus", "Successful",
		"PackageType", "Image", "Architectures", "x86_64");
}

json_t *catalogue_get(struct store *s, const char *name, const char *qualifier)
{
	struct store_record r;
	json_t *doc;

	if (store_resolve(s, name, qualifier[0] ? qualifier : NULL, &r, NULL) < 0)
		return NULL;
	doc = json_pack("{s:o, s:{s:s, s:s}}", "Configuration", catalogue_configuration(&r),
			"Code", "RepositoryType", "thaw", "ResolvedImageUri", r.image);
	if (doc && r.is_reserved)
		json_object_set_new(doc, "Concurrency",
				    json_pack("{s:I}", "ReservedConcurrentExecutions",
					      (json_int_t)r.reserved));
	return doc;
}

/* All but $LATEST. @r: room for a page. */
static void add_versions(json_t *functions, struct store *s, const char *name,
			 struct store_record *r)
{
	int64_t marker = 0;
	int n;

	do {
		n = store_list_versions(s, name, marker, LAMBDA_PAGE_MAX, r, NULL);
		for (int i = 0; i < n; i++) {
			json_array_append_new(functions, catalogue_configuration(&r[i]));
			marker = r[i].version;
		}
	} while (n == (int)LAMBDA_PAGE_MAX);
}

json_t *catalogue_list(struct store *s, const struct lambda_page *page)
{
	auto_free struct store_record *r = calloc(2 * (size_t)LAMBDA_PAGE_MAX, sizeof(*r));
	int n = r ? store_list(s, page->marker, page->max, r, NULL) : -ENOMEM;
	json_t *functions, *doc;

	if (n < 0)
		return NULL;
	functions = json_array();
	for (int i = 0; i < n; i++) {
		json_array_append_new(functions, catalogue_configuration(&r[i]));
		if (page->all_versions)
			add_versions(functions, s, r[i].name, r + LAMBDA_PAGE_MAX);
	}
	doc = json_pack("{s:o}", "Functions", functions);
	if (doc && n == (int)page->max)
		json_object_set_new(doc, "NextMarker", json_string(r[n - 1].name));
	return doc;
}
