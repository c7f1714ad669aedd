/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lambda.h - AWS Lambda's API (version 2015-03-31), as far as thawd has it, on http.h:
 *
 *	POST /2015-03-31/functions/NAME/invocations	Invoke
 *	GET  /2015-03-31/functions/NAME			GetFunction
 *	GET  /2015-03-31/functions/NAME/configuration	GetFunctionConfiguration
 *	GET  /2015-03-31/functions/			ListFunctions
 *
 * What it answers with comes from who runs it, by lambda_ops. Two things differ from Lambda:
 *
 * payload	Lambda demands JSON. A function of thaw takes any bytes, and one that wants JSON has
 *		to look at them anyway; so here payloads are checked only if json_only, for who
 *		develops against Lambda. Lambda does not check replies, nor do we.
 * types	A reply is application/json if json_only, else application/octet-stream.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "tools/thawd/call.h"
#include "tools/thawd/http.h"

#define LAMBDA_EVENT_MAX 262144u /* bytes of an Event's payload; Lambda's */
#define LAMBDA_PAGE_MAX	 50u	 /* functions in one answer; Lambda's */

struct lambda_page {
	const char *marker; /* of the page before; "": the first */
	unsigned max;	    /* functions; 1 to LAMBDA_PAGE_MAX */
	bool all_versions;
};

/* @data: of struct lambda */
struct lambda_ops {
	struct call_ops calls;
	/* {"Configuration": ..., "Code": ...} as of GetFunction, the caller's; NULL: not found. @qualifier
	 * may be "". */
	json_t *(*get_function)(const char *name, const char *qualifier, void *data);
	/* {"Functions": [...], "NextMarker": "..."}, the caller's; NULL: the marker is none of ours. */
	json_t *(*list_functions)(const struct lambda_page *page, void *data);
};

struct lambda {
	const struct lambda_ops *ops;
	void *data;
	bool json_only;
};

/* Its routes. @l stays in place. */
struct http_routes lambda_routes(struct lambda *l);

/* For struct http_config. */
void lambda_refuse(struct http_request *r, enum http_refusal why);
