/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lambda_ask.h - for lambda.c: what a client asks for, read from its request and checked. What is
 * wrong is a refusal with a sentence for the client.
 */
#pragma once

#include "engine/err.h"
#include "tools/thawd/http.h"
#include "tools/thawd/lambda.h"
#include "tools/thawd/lambda_name.h"

/* These return AWS_FINE, or the error whose sentence is in @err. */

/* The name in the path, with the qualifier of the query. */
enum aws_error lambda_ask_name(const struct http_request *r, struct lambda_name *name,
			       struct err *err);

/* All of @call but its data. What is not copied belongs to @r. */
enum aws_error lambda_ask_call(const struct http_request *r, bool json_only, struct call *call,
			       struct err *err);

/* @marker: what page->marker points to */
enum aws_error lambda_ask_page(const struct http_request *r, struct lambda_page *page,
			       char marker[LAMBDA_NAME_MAX], struct err *err);
