/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/aws_error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/http.h"

#define JSON_TYPE "application/json"

struct kind {
	const char *name;
	unsigned status;
	const char *at_fault;
	const char *message_key;
};

/* clang-format off */
static const struct kind kinds[AWS_ERRORS] = {
	[AWS_RESOURCE_NOT_FOUND]   = { "ResourceNotFoundException",          404, "User",    "Message" },
	[AWS_TOO_MANY_REQUESTS]    = { "TooManyRequestsException",           429, "User",    "message" },
	[AWS_INVALID_PARAMETER]    = { "InvalidParameterValueException",     400, "User",    "message" },
	[AWS_INVALID_CONTENT]      = { "InvalidRequestContentException",     400, "User",    "message" },
	[AWS_TOO_LARGE]            = { "RequestTooLargeException",           413, "User",    "message" },
	[AWS_RESOURCE_CONFLICT]    = { "ResourceConflictException",          409, "User",    "message" },
	[AWS_NOT_READY]            = { "ResourceNotReadyException",          502, "User",    "message" },
	[AWS_SERVICE]              = { "ServiceException",                   500, "Service", "Message" },
	[AWS_UNKNOWN_OPERATION]    = { "UnknownOperationException",          404, "User",    "message" },
	[AWS_MISSING_TOKEN]        = { "MissingAuthenticationTokenException", 403, "User",   "message" },
	[AWS_INCOMPLETE_SIGNATURE] = { "IncompleteSignatureException",       403, "User",    "message" },
	[AWS_UNRECOGNIZED_CLIENT]  = { "UnrecognizedClientException",        403, "User",    "message" },
	[AWS_INVALID_SIGNATURE]    = { "InvalidSignatureException",          403, "User",    "message" },
};
/* clang-format on */

const char *aws_error_name(enum aws_error error)
{
	return error > AWS_FINE && error < AWS_ERRORS ? kinds[error].name : "";
}

static void answer_text(struct http_request *r, unsigned status, const char *text,
			const struct http_field fields[2])
{
	http_answer(r, &(struct http_answer){
			       .status = status,
			       .type = JSON_TYPE,
			       .body = text,
			       .len = strlen(text),
			       .fields = fields,
			       .nfields = 2,
		       });
}

void aws_refuse(struct http_request *r, const struct aws_refusal *f)
{
	const struct kind *k = &kinds[f->error];
	json_t *doc = json_pack("{s:s, s:o*}", "Type", k->at_fault, k->message_key,
				cmd_json_text(f->message));
	struct http_field fields[2] = { { "x-amzn-ErrorType", k->name },
					{ "Retry-After", NULL } };
	auto_free char *text = NULL;
	char seconds[16];

	if (f->reason)
		json_object_set_new(doc, "Reason", json_string(f->reason));
	if (f->retry_after_s) {
		snprintf(seconds, sizeof(seconds), "%u", f->retry_after_s);
		fields[1].value = seconds;
	}
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	answer_text(r, k->status, text ? text : "{}", fields);
}

void aws_answer_json(struct http_request *r, unsigned status, json_t *body)
{
	static const struct http_field none[2];
	auto_free char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;

	json_decref(body);
	if (text)
		answer_text(r, status, text, none);
	else
		aws_refuse(r, &(struct aws_refusal){ AWS_SERVICE, "out of memory", NULL, 0 });
}
