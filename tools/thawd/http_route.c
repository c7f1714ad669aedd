/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tools/thawd/http_inside.h"

/* Whether @path ("/a/" followed by "*", and so on) is that of a request. */
static bool path_fits(const char *path, const struct uri *uri)
{
	size_t i = 0;

	for (const char *at = path; at; i++) {
		const char *end = strchrnul(++at, '/');
		struct uri_part part, want = { at, (size_t)(end - at) };

		if (i == uri->nsegments)
			return false;
		part = uri->segments[i];
		if (uri_is(want, "*")
			    ? part.len == 0
			    : part.len != want.len || memcmp(part.at, at, part.len) != 0)
			return false;
		at = *end ? end : NULL;
	}
	return i == uri->nsegments;
}

static bool method_fits(const char *method, const char *of_route)
{
	/* libmicrohttpd leaves out the body of an answer to HEAD. */
	return strcmp(strcmp(method, "HEAD") == 0 ? "GET" : method, of_route) == 0;
}

const struct http_route *http_find_route(const struct http_config *config, const char *method,
					 const struct uri *uri, void **data)
{
	for (size_t i = 0; i < config->ntables; i++) {
		const struct http_routes *t = &config->tables[i];

		for (size_t j = 0; j < t->nroutes; j++)
			if (method_fits(method, t->routes[j].method) &&
			    path_fits(t->routes[j].path, uri)) {
				*data = t->data;
				return &t->routes[j];
			}
	}
	return NULL;
}
