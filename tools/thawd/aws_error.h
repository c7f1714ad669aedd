/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aws_error.h - errors as AWS Lambda tells them: a status, the header x-amzn-ErrorType, and a
 * body {"Type": "User"|"Service", "Message": ...}. Names, statuses and the spelling of
 * "message" are those of Lambda's service model 2015-03-31, and of AWS's common errors.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

struct http_request;

enum aws_error {
	AWS_FINE,
	AWS_RESOURCE_NOT_FOUND, /* no such function, version or alias */
	AWS_TOO_MANY_REQUESTS,	/* struct aws_refusal's reason says of what */
	AWS_INVALID_PARAMETER,
	AWS_INVALID_CONTENT,	  /* the payload is not what it must be */
	AWS_TOO_LARGE,		  /* the payload */
	AWS_RESOURCE_CONFLICT,	  /* the function is in a state that does not allow it */
	AWS_NOT_READY,		  /* the function is being made */
	AWS_SERVICE,		  /* we failed */
	AWS_UNKNOWN_OPERATION,	  /* no such path, or not with this method */
	AWS_MISSING_TOKEN,	  /* not signed at all */
	AWS_INCOMPLETE_SIGNATURE, /* signed, but not in that form */
	AWS_UNRECOGNIZED_CLIENT,  /* signed with a key that we do not know */
	AWS_INVALID_SIGNATURE,	  /* wrong, too old, or used before */
	AWS_ERRORS
};

/* Reasons of AWS_TOO_MANY_REQUESTS that fit here, of Lambda's ThrottleReason. */
#define AWS_REASON_CONCURRENT "ConcurrentInvocationLimitExceeded"
#define AWS_REASON_RESERVED   "ReservedFunctionConcurrentInvocationLimitExceeded"
#define AWS_REASON_CALLER     "CallerRateLimitExceeded"

struct aws_refusal {
	enum aws_error error;
	const char *message;
	const char *reason;	/* NULL: not said */
	uint32_t retry_after_s; /* 0: not said */
};

const char *aws_error_name(enum aws_error error);

/* Answer @r with it. */
void aws_refuse(struct http_request *r, const struct aws_refusal *f);

/* Answer @r with @body and @status; @body is given back. NULL: AWS_SERVICE. */
void aws_answer_json(struct http_request *r, unsigned status, json_t *body);
