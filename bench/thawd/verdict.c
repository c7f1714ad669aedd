/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/thawd/verdict.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

static const char *text_at(const json_t *doc, const char *key)
{
	return json_string_value(json_object_get(doc, key));
}

/* A function that failed: {"errorMessage": TEXT, "errorType": NAME} with status 200. */
static const char *failure(const struct client_reply *r, const json_t *doc)
{
	return r->status == 200 && text_at(doc, "errorMessage") ? text_at(doc, "errorType")
								: NULL;
}

/* None ran: {"Type": TEXT, "message": TEXT}, its name in a header; some write "Message". */
static const char *refusal(const struct client_reply *r, const json_t *doc)
{
	bool has_text = text_at(doc, "message") || text_at(doc, "Message");

	return r->status >= 400 && has_text && text_at(doc, "Type") ? r->error_type : NULL;
}

static enum verdict error_of(const struct client_reply *r, char *name)
{
	json_t *doc = json_loadb((const char *)r->body, r->len, 0, NULL);
	const char *found = r->function_error ? failure(r, doc) : refusal(r, doc);

	if (found)
		snprintf(name, VERDICT_NAME_SIZE, "%s", found);
	json_decref(doc);
	return found ? VERDICT_ERROR : VERDICT_WRONG;
}

enum verdict verdict_of(const struct client_reply *r, const void *expected, size_t len,
			char *name)
{
	if (r->status != 200 || r->function_error)
		return error_of(r, name);
	return r->len == len && memcmp(r->body, expected, len) == 0 ? VERDICT_RIGHT
								    : VERDICT_WRONG;
}
