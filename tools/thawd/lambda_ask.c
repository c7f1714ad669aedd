/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/lambda_ask.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/json_check.h"

#define CONTEXT_MAX 3583u /* bytes of base64 of a client context; Lambda's */

enum { NAME_SEGMENT = 2 }; /* "/2015-03-31/functions/NAME..." */

static enum aws_error refusal(enum aws_error error, int ret)
{
	return ret < 0 ? error : AWS_FINE;
}

/* ---- names ---- */

enum aws_error lambda_ask_name(const struct http_request *r, struct lambda_name *name,
			       struct err *err)
{
	const struct uri *uri = http_uri(r);
	char text[LAMBDA_NAME_MAX + 1], qualifier[CALL_QUALIFIER_SIZE];
	int ret = uri_decode(uri->segments[NAME_SEGMENT], false, text, sizeof(text));

	if (ret < 0)
		ret = err_set(err, -ret, "The function name is too long or badly encoded");
	else
		ret = lambda_name_parse(name, text, err);
	if (ret < 0)
		return AWS_INVALID_PARAMETER;
	ret = uri_parameter(uri, "Qualifier", qualifier, sizeof(qualifier));
	if (ret < 0)
		ret = err_set(err, -ret, "The qualifier is too long or badly encoded");
	else
		ret = lambda_name_qualify(name, qualifier, err);
	return refusal(AWS_INVALID_PARAMETER, ret);
}

/* ---- invocations ---- */

static int take_type(const char *text, enum call_type *type, struct err *err)
{
	static const char *const names[] = {
		[CALL_REQUEST_RESPONSE] = "RequestResponse",
		[CALL_EVENT] = "Event",
		[CALL_DRY_RUN] = "DryRun",
	};

	*type = CALL_REQUEST_RESPONSE;
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!text || strcmp(text, names[i]) == 0) {
			*type = (enum call_type)i;
			return 0;
		}
	return err_set(err, EINVAL,
		       "The invocation type must be one of Event, RequestResponse, DryRun");
}

static int take_log_type(const char *text, bool *wants_log, struct err *err)
{
	*wants_log = text && strcmp(text, "Tail") == 0;
	if (!text || *wants_log || strcmp(text, "None") == 0)
		return 0;
	return err_set(err, EINVAL, "The log type must be one of None, Tail");
}

/* Base64 of a JSON object. */
static bool is_context(const char *text, size_t len)
{
	uint8_t bytes[CONTEXT_MAX];
	size_t padding = 0, where, first = 0;
	int n = len % 4 == 0 ? EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)len) : -1;

	while (padding < 2 && text[len - 1 - padding] == '=')
		padding++;
	/* OpenSSL counts what the padding stands for. */
	if (n <= (int)padding || !json_check(bytes, (size_t)n - padding, &where))
		return false;
	while (strchr(" \t\n\r", bytes[first]))
		first++;
	return bytes[first] == '{';
}

static enum aws_error take_context(const char *text, const char **context, struct err *err)
{
	size_t len = text ? strlen(text) : 0;

	*context = len ? text : NULL;
	if (len > CONTEXT_MAX)
		return refusal(AWS_INVALID_PARAMETER,
			       err_set(err, EINVAL,
				       "The client context must have at most %u bytes",
				       CONTEXT_MAX));
	if (len > 0 && !is_context(text, len))
		return refusal(AWS_INVALID_CONTENT,
			       err_set(err, EINVAL,
				       "Client context must be a valid Base64-encoded JSON "
				       "object."));
	return AWS_FINE;
}

static enum aws_error take_payload(const struct http_request *r, bool json_only,
				   struct call *call, struct err *err)
{
	size_t where;

	call->payload = http_body(r, &call->len);
	if (call->type == CALL_EVENT && call->len > LAMBDA_EVENT_MAX)
		return refusal(AWS_TOO_LARGE,
			       err_set(err, EFBIG,
				       "%zu byte payload is too large for the Event invocation "
				       "type (limit %u bytes)",
				       call->len, LAMBDA_EVENT_MAX));
	if (json_only && call->len > 0 && !json_check(call->payload, call->len, &where))
		return refusal(
			AWS_INVALID_CONTENT,
			err_set(err, EINVAL,
				"Could not parse request body into json: it ceases to be "
				"JSON at byte %zu",
				where));
	return AWS_FINE;
}

/* W3C Trace Context, 3.2: version 00, the only one that there is. Others are not passed on. */
static const char *take_trace(const char *text)
{
	static const char form[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

	if (!text || strlen(text) != strlen(form))
		return NULL;
	for (size_t i = 0; form[i]; i++) {
		if (form[i] == 'x' ? !strchr("0123456789abcdef", text[i]) : text[i] != form[i])
			return NULL;
	}
	return text;
}

enum aws_error lambda_ask_call(const struct http_request *r, bool json_only, struct call *call,
			       struct err *err)
{
	struct lambda_name name;
	enum aws_error error = lambda_ask_name(r, &name, err);

	if (error)
		return error;
	_Static_assert(sizeof(name.function) == sizeof(call->function) &&
			       sizeof(name.qualifier) == sizeof(call->qualifier),
		       "copied whole");
	memcpy(call->function, name.function, sizeof(name.function));
	memcpy(call->qualifier, name.qualifier, sizeof(name.qualifier));
	memcpy(call->id, http_id(r), sizeof(call->id));
	call->traceparent = take_trace(http_header(r, "traceparent"));
	call->trace_id = http_header(r, "X-Amzn-Trace-Id");
	call->received = http_received(r);
	if (take_type(http_header(r, "X-Amz-Invocation-Type"), &call->type, err) < 0 ||
	    take_log_type(http_header(r, "X-Amz-Log-Type"), &call->wants_log, err) < 0)
		return AWS_INVALID_PARAMETER;
	error = take_context(http_header(r, "X-Amz-Client-Context"), &call->client_context,
			     err);
	return error ? error : take_payload(r, json_only, call, err);
}

/* ---- pages ---- */

static int take_max(const char *text, unsigned *max, struct err *err)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	*max = LAMBDA_PAGE_MAX;
	if (!*text)
		return 0;
	if (text[strspn(text, "0123456789")] || n < 1 || n > 10000)
		return err_set(err, EINVAL, "MaxItems must be 1 to 10000");
	*max = (unsigned)MIN(n, LAMBDA_PAGE_MAX);
	return 0;
}

enum aws_error lambda_ask_page(const struct http_request *r, struct lambda_page *page,
			       char marker[LAMBDA_NAME_MAX], struct err *err)
{
	const struct uri *uri = http_uri(r);
	char max[8], version[8];

	if (uri_parameter(uri, "MaxItems", max, sizeof(max)) < 0 ||
	    uri_parameter(uri, "FunctionVersion", version, sizeof(version)) < 0 ||
	    uri_parameter(uri, "Marker", marker, LAMBDA_NAME_MAX) < 0)
		return refusal(
			AWS_INVALID_PARAMETER,
			err_set(err, EINVAL, "A parameter is too long or badly encoded"));
	if (*version && strcmp(version, "ALL") != 0)
		return refusal(AWS_INVALID_PARAMETER,
			       err_set(err, EINVAL, "FunctionVersion must be ALL"));
	page->marker = marker;
	page->all_versions = *version != '\0';
	return refusal(AWS_INVALID_PARAMETER, take_max(max, &page->max, err));
}
