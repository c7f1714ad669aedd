/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/lambda.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "snapshot/thaw.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/lambda_ask.h"

/* A call, and whom to answer. */
struct invocation {
	struct call call;
	struct http_request *request;
	struct lambda *lambda;
	bool *is_done; /* while invoke runs */
};

static void refuse(struct http_request *r, enum aws_error error, const struct err *err)
{
	aws_refuse(r, &(struct aws_refusal){ .error = error, .message = err->text });
}

/* ---- answers to invocations ---- */

#define LOG_BASE64_SIZE (CALL_LOG_MAX / 3 * 4 + 5)

/* The last bytes of a log in base64, or NULL: not wanted. */
static const char *log_tail(const struct call *call, const struct outcome *o,
			    char text[LOG_BASE64_SIZE])
{
	size_t len = MIN(o->log_len, CALL_LOG_MAX);

	if (!call->wants_log || call->type != CALL_REQUEST_RESPONSE)
		return NULL;
	text[0] = '\0';
	if (len > 0)
		EVP_EncodeBlock((uint8_t *)text, (const uint8_t *)o->log + (o->log_len - len),
				(int)len);
	return text;
}

/* {"errorMessage": "RequestId: ID Error: MESSAGE", "errorType": TYPE}, as Lambda's runtime */
static char *failure(const struct call *call, const struct outcome *o)
{
	const char *why = o->message ? o->message : "unknown";
	auto_free char *message = NULL;
	json_t *doc;
	char *text;

	if (asprintf(&message, "RequestId: %s Error: %s", call->id, why) < 0)
		message = NULL;
	doc = json_pack("{s:o*, s:o*}", "errorMessage", cmd_json_text(message ? message : ""),
			"errorType",
			cmd_json_text(o->error_type ? o->error_type : "Runtime.Unknown"));
	text = json_dumps(doc, JSON_COMPACT);
	json_decref(doc);
	return text;
}

static void answer(const struct invocation *in, const struct outcome *o, const void *body,
		   size_t len)
{
	static const unsigned status[] = {
		[CALL_REQUEST_RESPONSE] = 200,
		[CALL_EVENT] = 202,
		[CALL_DRY_RUN] = 204,
	};
	const struct call *call = &in->call;
	bool is_json = in->lambda->json_only || o->function_error;
	char log[LOG_BASE64_SIZE];
	const struct http_field fields[] = {
		{ "X-Amz-Executed-Version",
		  o->executed_version ? o->executed_version : "$LATEST" },
		{ "X-Amz-Function-Error", o->function_error },
		{ "X-Amz-Log-Result", log_tail(call, o, log) },
		{ "X-Amzn-Trace-Id", call->trace_id },
		{ "traceparent", call->traceparent },
	};

	http_answer(in->request,
		    &(struct http_answer){
			    .status = status[call->type],
			    .type = is_json ? "application/json" : "application/octet-stream",
			    .body = body,
			    .len = call->type == CALL_REQUEST_RESPONSE ? len : 0,
			    .fields = fields,
			    .nfields = ARRAY_SIZE(fields),
		    });
}

static void answer_or_refuse(const struct invocation *in, const struct outcome *o)
{
	const char *message = o->message ? o->message : "";
	auto_free char *text = NULL;

	if (o->error) {
		aws_refuse(in->request, &(struct aws_refusal){ o->error, message, o->reason,
							       o->retry_after_s });
	} else if (o->function_error && !o->body) {
		text = failure(&in->call, o);
		answer(in, o, text, text ? strlen(text) : 0);
	} else {
		answer(in, o, o->body, o->len);
	}
}

void call_done(struct call *call, const struct outcome *outcome)
{
	struct invocation *in = container_of(call, struct invocation, call);

	if (in->is_done)
		*in->is_done = true;
	answer_or_refuse(in, outcome);
	free(in);
}

/* ---- handlers ---- */

static void on_cancel(void *data)
{
	struct invocation *in = data;

	in->lambda->ops->calls.cancel(&in->call, in->lambda->data);
	free(in);
}

static void hand_over(struct invocation *in)
{
	struct http_request *r = in->request;
	bool is_done = false;

	in->is_done = &is_done;
	in->lambda->ops->calls.invoke(&in->call, in->lambda->data);
	if (is_done)
		return;
	in->is_done = NULL;
	http_wait(r, on_cancel, in);
}

static void on_invoke(struct http_request *r, void *data)
{
	struct invocation *in = calloc(1, sizeof(*in));
	struct err err = { "out of memory" };
	enum aws_error error = AWS_SERVICE;

	if (in) {
		in->request = r;
		in->lambda = data;
		error = lambda_ask_call(r, in->lambda->json_only, &in->call, &err);
	}
	if (!error)
		return hand_over(in);
	free(in);
	refuse(r, error, &err);
}

/* The function that is asked for, or NULL: @r is answered. */
static json_t *find_function(struct http_request *r, const struct lambda *l)
{
	struct lambda_name name;
	struct err err;
	enum aws_error error = lambda_ask_name(r, &name, &err);
	json_t *doc;

	if (error) {
		refuse(r, error, &err);
		return NULL;
	}
	doc = l->ops->get_function(name.function, name.qualifier, l->data);
	if (doc)
		return doc;
	err_set(&err, ENOENT, "Function not found: %s%s%s", name.function,
		*name.qualifier ? ":" : "", name.qualifier);
	refuse(r, AWS_RESOURCE_NOT_FOUND, &err);
	return NULL;
}

static void on_get(struct http_request *r, void *data)
{
	json_t *doc = find_function(r, data);

	if (doc)
		aws_answer_json(r, 200, doc);
}

static void on_get_configuration(struct http_request *r, void *data)
{
	json_t *doc = find_function(r, data);

	if (!doc)
		return;
	aws_answer_json(r, 200, json_incref(json_object_get(doc, "Configuration")));
	json_decref(doc);
}

static void on_list(struct http_request *r, void *data)
{
	const struct lambda *l = data;
	char marker[LAMBDA_NAME_MAX];
	struct lambda_page page;
	struct err err;
	enum aws_error error = lambda_ask_page(r, &page, marker, &err);
	json_t *doc = error ? NULL : l->ops->list_functions(&page, l->data);

	if (doc)
		return aws_answer_json(r, 200, doc);
	if (!error) {
		error = AWS_INVALID_PARAMETER;
		err_set(&err, EINVAL, "The marker is none that was given out");
	}
	refuse(r, error, &err);
}

/* clang-format off */
static const struct http_route routes[] = {
	{ "POST", "/2015-03-31/functions/*/invocations",   THAW_EVENT_MAX, on_invoke },
	{ "GET",  "/2015-03-31/functions/*",               0, on_get },
	{ "GET",  "/2015-03-31/functions/*/configuration", 0, on_get_configuration },
	{ "GET",  "/2015-03-31/functions/",                0, on_list },
	{ "GET",  "/2015-03-31/functions",                 0, on_list },
};
/* clang-format on */

struct http_routes lambda_routes(struct lambda *l)
{
	return (struct http_routes){ routes, ARRAY_SIZE(routes), l };
}

void lambda_refuse(struct http_request *r, enum http_refusal why)
{
	struct aws_refusal f = { .error = AWS_UNKNOWN_OPERATION };
	struct err err;

	switch (why) {
	case HTTP_UNKNOWN:
		err_set(&err, ENOENT, "Unknown operation: %s on this path", http_method(r));
		break;
	case HTTP_TOO_LARGE:
		f.error = AWS_TOO_LARGE;
		err_set(&err, EFBIG, "Request must be smaller than %zu bytes",
			http_max_body(r));
		break;
	case HTTP_BUSY:
		f.error = AWS_TOO_MANY_REQUESTS;
		f.reason = AWS_REASON_CALLER;
		err_set(&err, EBUSY, "Rate Exceeded.");
		break;
	}
	f.message = err.text;
	aws_refuse(r, &f);
}
