/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/thaw.h"
#include "tests/helpers_http.h"
#include "tools/thawd/json_check.h"
#include "tools/thawd/lambda.h"
#include "tools/thawd/lambda_name.h"

/* A backend that ends each call with `outcome`, or later; and knows two functions. */

static struct call last; /* as it was when it came */
#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static char payload[100], context[100], trace[100];
static struct call *waiting;
static unsigned ncalls, ncancelled;
static bool answers_later;
static struct outcome outcome;

static void copy(char out[100], const char *text)
{
	snprintf(out, 100, "%s", text ? text : "(none)");
}

static void on_invoke(struct call *call, void *data)
{
	cr_expect(eq(ptr, data, &last));
	ncalls++;
	last = *call;
	snprintf(payload, sizeof(payload), "%.*s", (int)MIN(call->len, 99u),
		 call->payload ? (const char *)call->payload : "");
	copy(context, call->client_context);
	copy(trace, call->trace_id);
	if (answers_later)
		waiting = call;
	else
		call_done(call, &outcome);
}

static void on_cancel(struct call *call, void *data)
{
	cr_expect(eq(ptr, data, &last));
	cr_expect(eq(ptr, call, waiting));
	waiting = NULL;
	ncancelled++;
}

static json_t *get_function(const char *name, const char *qualifier, void *data)
{
	(void)data;
	if (strcmp(name, "hello") != 0)
		return NULL;
	return json_pack("{s:{s:s, s:s}, s:{}}", "Configuration", "FunctionName", name,
			 "Version", *qualifier ? qualifier : "$LATEST", "Code");
}

static json_t *list_functions(const struct lambda_page *page, void *data)
{
	(void)data;
	if (strcmp(page->marker, "wrong") == 0)
		return NULL;
	return json_pack("{s:[{s:s}], s:i, s:b}", "Functions", "FunctionName", page->marker,
			 "Max", (int)page->max, "All", page->all_versions);
}

static const struct lambda_ops ops = {
	.calls = { on_invoke, on_cancel },
	.get_function = get_function,
	.list_functions = list_functions,
};

static struct lambda lambda = { .ops = &ops, .data = &last };
static struct http_routes tables[1];
static struct http_host host;

static void start(void)
{
	struct http_config config = { .tables = tables,
				      .ntables = 1,
				      .limits = { .connections = 10,
						  .bodies = 64u << 20,
						  .patience = 60 * NSEC_PER_SEC },
				      .refuse = lambda_refuse };

	tables[0] = lambda_routes(&lambda);
	outcome = (struct outcome){ .body = "\"hi\"", .len = 4 };
	http_host_start(&host, &config, NULL);
}

static void stop(void)
{
	http_host_stop(&host);
}

#define FUNCTIONS "/2015-03-31/functions/"

/* Invoke FUNCTIONS@target; @headers end in \r\n each. */
static char *invoke(const char *target, const char *headers, const char *body)
{
	static char text[8000];

	snprintf(text, sizeof(text),
		 "POST " FUNCTIONS "%s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %zu\r\n\r\n%s",
		 target, headers, strlen(body), body);
	return http_host_ask(&host, text);
}

static char *get(const char *target)
{
	char text[1000];

	snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
	return http_host_ask(&host, text);
}

static void expect_answer(char *answer, int status, const char *body)
{
	cr_expect(eq(int, http_status(answer), status), "%s", answer);
	cr_expect(eq(str, http_payload(answer), body));
	free(answer);
}

/* It is refused as AWS does it, with a message that has @part. */
static void expect_refusal(char *answer, int status, const char *type, const char *part)
{
	char line[100];
	json_t *doc = json_loads(http_payload(answer), 0, NULL);
	const char *message = json_string_value(json_object_get(doc, "message"));

	if (!message)
		message = json_string_value(json_object_get(doc, "Message"));
	snprintf(line, sizeof(line), "x-amzn-ErrorType: %s", type);
	cr_expect(eq(int, http_status(answer), status), "%s", answer);
	cr_expect(http_has(answer, line), "%s", answer);
	cr_expect(message && strstr(message, part), "%s lacks %s", answer, part);
	cr_expect(ne(ptr, strstr(answer, "x-amzn-RequestId: "), NULL));
	json_decref(doc);
	free(answer);
}

/* ---- Invoke ---- */

Test(lambda, a_function_is_invoked, .init = start, .fini = stop)
{
	char *answer = invoke("hello/invocations", "", "{\"a\":1}");

	cr_expect(http_has(answer, "X-Amz-Executed-Version: $LATEST"));
	cr_expect(eq(ptr, strcasestr(answer, "X-Amz-Log-Result"), NULL));
	cr_expect(strcasestr(answer, "X-Amz-Function-Error") == NULL);
	expect_answer(answer, 200, "\"hi\"");
	cr_expect(eq(str, last.function, "hello"));
	cr_expect(eq(str, last.qualifier, ""));
	cr_expect(eq(str, payload, "{\"a\":1}"));
	cr_expect(eq(sz, last.len, 7));
	cr_expect(eq(int, last.type, CALL_REQUEST_RESPONSE));
	cr_expect(eq(int, last.wants_log, false));
	cr_expect(eq(ptr, (void *)last.client_context, NULL));
	cr_expect(eq(sz, strlen(last.id), 36));
	cr_expect(le(u64, last.received, clock_monotonic()));
}

Test(lambda, names_and_qualifiers_come_in_all_forms, .init = start, .fini = stop)
{
	/* clang-format off */
	static const struct { const char *target, *function, *qualifier; } t[] = {
		{ "a-b_C9/invocations", "a-b_C9", "" },
		{ "f:v1/invocations", "f", "v1" },
		{ "f%3Av1/invocations", "f", "v1" },
		{ "f:$LATEST/invocations", "f", "$LATEST" },
		{ "f/invocations?Qualifier=v2", "f", "v2" },
		{ "f:v2/invocations?Qualifier=v2", "f", "v2" },
		{ "f/invocations?x=y&Qualifier=%24LATEST", "f", "$LATEST" },
		{ "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af/invocations", "f", "" },
		{ "arn:aws:lambda:us-east-1:123456789012:function:f:v3/invocations", "f", "v3" },
		{ "123456789012:function:f/invocations", "f", "" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		expect_answer(invoke(t[i].target, "", ""), 200, "\"hi\"");
		cr_expect(eq(str, last.function, (char *)t[i].function));
		cr_expect(eq(str, last.qualifier, (char *)t[i].qualifier));
	}
	cr_expect(eq(u32, ncalls, ARRAY_SIZE(t)));
}

Test(lambda, wrong_requests_come_to_no_function, .init = start, .fini = stop)
{
	/* clang-format off */
	static const struct { const char *target, *headers, *part; } t[] = {
		{ "a%20b/invocations", "", "function name" },
		{ "a%00b/invocations", "", "function name" },
		{ "a%2/invocations", "", "function name" },
		{ "a%2Fb/invocations", "", "function name" },
		{ "f:/invocations", "", "function name" },
		{ "f:v!/invocations", "", "function name" },
		{ "f:v1/invocations?Qualifier=v2", "", "does not match" },
		{ "f/invocations?Qualifier=a.b", "", "qualifier must be" },
		{ "f/invocations?Qualifier=%00", "", "qualifier" },
		{ "f/invocations", "X-Amz-Invocation-Type: event\r\n", "Event, RequestResponse, DryRun" },
		{ "f/invocations", "X-Amz-Log-Type: tail\r\n", "None, Tail" },
	};
	/* clang-format on */

	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		expect_refusal(invoke(t[i].target, t[i].headers, ""), 400,
			       "InvalidParameterValueException", t[i].part);
	expect_refusal(invoke("/invocations", "", ""), 404, "UnknownOperationException", "");
	expect_refusal(invoke("f/", "", ""), 404, "UnknownOperationException", "");
	expect_refusal(get("/"), 404, "UnknownOperationException", "GET");
	cr_expect(eq(u32, ncalls, 0));
}

Test(lambda, an_event_is_accepted_and_a_dry_run_says_nothing, .init = start, .fini = stop)
{
	expect_answer(invoke("f/invocations", "X-Amz-Invocation-Type: Event\r\n", "1"), 202,
		      "");
	cr_expect(eq(int, last.type, CALL_EVENT));
	expect_answer(invoke("f/invocations", "X-Amz-Invocation-Type: DryRun\r\n", "1"), 204,
		      "");
	cr_expect(eq(int, last.type, CALL_DRY_RUN));
}

static char *invoke_with(size_t len, const char *headers)
{
	char *text = malloc(len + 1000), *answer;
	int fd = http_host_connect(&host);
	size_t n = (size_t)sprintf(text,
				   "POST " FUNCTIONS "f/invocations HTTP/1.1\r\nHost: x\r\n"
				   "%sContent-Length: %zu\r\n\r\n",
				   headers, len);

	memset(text + n, '1', len);
	http_host_send(&host, fd, text, n + len);
	answer = http_host_receive(&host, fd);
	free(text);
	close(fd);
	return answer;
}

Test(lambda, payloads_have_lambdas_limits, .init = start, .fini = stop, .timeout = 60)
{
	static const char *const event = "X-Amz-Invocation-Type: Event\r\n";

	expect_answer(invoke_with(THAW_EVENT_MAX, ""), 200, "\"hi\"");
	cr_expect(eq(sz, last.len, THAW_EVENT_MAX));
	expect_refusal(invoke_with(THAW_EVENT_MAX + 1, ""), 413, "RequestTooLargeException",
		       "6291456");
	expect_answer(invoke_with(LAMBDA_EVENT_MAX, event), 202, "");
	expect_refusal(invoke_with(LAMBDA_EVENT_MAX + 1, event), 413,
		       "RequestTooLargeException", "262145 byte payload");
	cr_expect(eq(u32, ncalls, 2));
}

Test(lambda, the_end_of_the_log_is_shown_who_asks, .init = start, .fini = stop)
{
	static char log[CALL_LOG_MAX + 10], line[6000] = "X-Amz-Log-Result: ";
	char *answer;

	outcome.log = "printed\n";
	outcome.log_len = 8;
	answer = invoke("f/invocations", "X-Amz-Log-Type: Tail\r\n", "");
	cr_expect(eq(int, last.wants_log, true));
	cr_expect(http_has(answer, "X-Amz-Log-Result: cHJpbnRlZAo="), "%s", answer);
	free(answer);
	answer = invoke("f/invocations", "X-Amz-Log-Type: None\r\n", "");
	cr_expect(strcasestr(answer, "X-Amz-Log-Result") == NULL);
	free(answer);
	memset(log, 'x', 10);
	memset(log + 10, 'a', CALL_LOG_MAX); /* YWFh... */
	outcome.log = log;
	outcome.log_len = sizeof(log);
	answer = invoke("f/invocations", "X-Amz-Log-Type: Tail\r\n", "");
	for (size_t i = 0; i < CALL_LOG_MAX / 3; i++)
		strcat(line, "YWFh");
	strcat(line, "YQ==");
	cr_expect(http_has(answer, line), "%s", answer);
	free(answer);
}

Test(lambda, what_clients_say_of_themselves_is_handed_on, .init = start, .fini = stop)
{
	char *answer = invoke("f/invocations",
			      "X-Amz-Client-Context: eyJhIjoxfQ==\r\n"
			      "X-Amzn-Trace-Id: Root=1-2-3\r\n"
			      "traceparent: " TRACEPARENT "\r\n",
			      "");

	cr_expect(http_has(answer, "X-Amzn-Trace-Id: Root=1-2-3"));
	cr_expect(http_has(answer, "traceparent: " TRACEPARENT));
	expect_answer(answer, 200, "\"hi\"");
	cr_expect(eq(str, context, "eyJhIjoxfQ=="));
	cr_expect(eq(str, trace, "Root=1-2-3"));
	cr_expect(ne(ptr, (void *)last.traceparent, NULL));
}

Test(lambda, trace_contexts_of_another_form_are_left_out, .init = start, .fini = stop)
{
	static const char *const wrong[] = {
		"",
		"00-a-b-01",
		"01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
		TRACEPARENT "0",
	};
	char line[100];

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(line, sizeof(line), "traceparent: %s\r\n", wrong[i]);
		char *answer = invoke("f/invocations", line, "");

		cr_expect(strcasestr(answer, "traceparent") == NULL, "%s", answer);
		expect_answer(answer, 200, "\"hi\"");
		cr_expect(eq(ptr, (void *)last.traceparent, NULL), "%s", wrong[i]);
	}
}

Test(lambda, client_contexts_must_be_base64_of_an_object, .init = start, .fini = stop)
{
	static const char *const wrong[] = { "x",    "eyJhIjoxfQ=", "MQ==", "e30=e30=",
					     "====", "eyJh",	    "!!!!", "ICAg" };
	static char line[4000] = "X-Amz-Client-Context: ";

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(line, sizeof(line), "X-Amz-Client-Context: %s\r\n", wrong[i]);
		expect_refusal(invoke("f/invocations", line, ""), 400,
			       "InvalidRequestContentException", "Client context");
	}
	memset(line + 22, 'A', 3584);
	strcpy(line + 22 + 3584, "\r\n");
	expect_refusal(invoke("f/invocations", line, ""), 400, "InvalidParameterValueException",
		       "3583");
	cr_expect(eq(u32, ncalls, 0));
}

/* ---- outcomes ---- */

Test(lambda, a_function_that_failed_is_told_with_200, .init = start, .fini = stop)
{
	char *answer, want[200];

	outcome = (struct outcome){ .function_error = "Unhandled",
				    .error_type = "Runtime.ExitError",
				    .message = "Runtime exited with error: exit status 1",
				    .executed_version = "7" };
	answer = invoke("f/invocations", "", "");
	snprintf(want, sizeof(want),
		 "{\"errorMessage\":\"RequestId: %s Error: Runtime exited with error: exit "
		 "status 1\",\"errorType\":\"Runtime.ExitError\"}",
		 last.id);
	cr_expect(http_has(answer, "X-Amz-Function-Error: Unhandled"));
	cr_expect(http_has(answer, "X-Amz-Executed-Version: 7"));
	cr_expect(http_has(answer, "Content-Type: application/json"));
	expect_answer(answer, 200, want);
	outcome.body = "{\"errorMessage\":\"its own\"}";
	outcome.len = strlen(outcome.body);
	expect_answer(invoke("f/invocations", "", ""), 200, outcome.body);
	outcome.body = NULL;
	outcome.message = "said \xff\" by a guest";
	answer = invoke("f/invocations", "", "");
	cr_expect(ne(ptr, strstr(answer, "said ?\\\" by a guest"), NULL), "%s", answer);
	free(answer);
}

Test(lambda, what_kept_it_from_running_has_lambdas_names, .init = start, .fini = stop)
{
	/* clang-format off */
	static const struct { enum aws_error error; int status; const char *type; } t[] = {
		{ AWS_RESOURCE_NOT_FOUND, 404, "ResourceNotFoundException" },
		{ AWS_TOO_MANY_REQUESTS, 429, "TooManyRequestsException" },
		{ AWS_NOT_READY, 502, "ResourceNotReadyException" },
		{ AWS_SERVICE, 500, "ServiceException" },
	};
	/* clang-format on */
	char *answer;

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		outcome = (struct outcome){ .error = t[i].error, .message = "that is \xffwhy" };
		expect_refusal(invoke("f/invocations", "", ""), t[i].status, t[i].type,
			       "that is ?why");
	}
	outcome = (struct outcome){ .error = AWS_TOO_MANY_REQUESTS,
				    .message = "Rate Exceeded.",
				    .reason = AWS_REASON_CONCURRENT,
				    .retry_after_s = 3 };
	answer = invoke("f/invocations", "", "");
	cr_expect(http_has(answer, "Retry-After: 3"));
	expect_answer(answer, 429,
		      "{\"Type\":\"User\",\"message\":\"Rate Exceeded.\",\"Reason\":"
		      "\"ConcurrentInvocationLimitExceeded\"}");
}

Test(lambda, a_reply_may_come_later, .init = start, .fini = stop)
{
	static const char request[] = "POST " FUNCTIONS "f/invocations HTTP/1.1\r\nHost: x\r\n"
				      "Content-Length: 2\r\n\r\n12";
	int fd = http_host_connect(&host);

	answers_later = true;
	for (unsigned i = 0; i < 3; i++) {
		cr_assert(http_host_send(&host, fd, request, strlen(request)));
		for (int j = 0; j < 1000 && !waiting; j++)
			http_host_turn(&host, 10);
		cr_assert(ne(ptr, waiting, NULL));
		cr_expect(eq(int, waiting->payload[1], '2'));
		call_done(waiting, &outcome);
		waiting = NULL;
		expect_answer(http_host_receive(&host, fd), 200, "\"hi\"");
	}
	cr_assert(http_host_send(&host, fd, request, strlen(request)));
	for (int j = 0; j < 1000 && !waiting; j++)
		http_host_turn(&host, 10);
	close(fd);
	for (int j = 0; j < 1000 && waiting; j++)
		http_host_turn(&host, 10);
	cr_expect(eq(u32, ncancelled, 1));
	cr_expect(eq(u32, ncalls, 4));
}

Test(lambda, json_is_demanded_where_that_is_asked_for, .fini = stop)
{
	lambda.json_only = true;
	start();
	expect_refusal(invoke("f/invocations", "", "{\"a\":}"), 400,
		       "InvalidRequestContentException", "at byte 5");
	expect_answer(invoke("f/invocations", "", ""), 200, "\"hi\"");
	expect_answer(invoke("f/invocations", "", "{\"a\":[1.5e3]}"), 200, "\"hi\"");
}

/* ---- functions ---- */

Test(lambda, functions_are_described, .init = start, .fini = stop)
{
	expect_answer(get(FUNCTIONS "hello"), 200,
		      "{\"Configuration\":{\"FunctionName\":\"hello\",\"Version\":\"$LATEST\"},"
		      "\"Code\":{}}");
	expect_answer(get(FUNCTIONS "hello/configuration?Qualifier=v1"), 200,
		      "{\"FunctionName\":\"hello\",\"Version\":\"v1\"}");
	expect_refusal(get(FUNCTIONS "other:v1"), 404, "ResourceNotFoundException",
		       "Function not found: other:v1");
	expect_refusal(get(FUNCTIONS "a!"), 400, "InvalidParameterValueException", "name");
}

Test(lambda, functions_are_listed_by_pages, .init = start, .fini = stop)
{
	expect_answer(get(FUNCTIONS), 200,
		      "{\"Functions\":[{\"FunctionName\":\"\"}],\"Max\":50,\"All\":false}");
	expect_answer(
		get("/2015-03-31/functions?Marker=a%2Fb+c&MaxItems=7&FunctionVersion=ALL"), 200,
		"{\"Functions\":[{\"FunctionName\":\"a/b c\"}],\"Max\":7,\"All\":true}");
	expect_refusal(get(FUNCTIONS "?Marker=wrong"), 400, "InvalidParameterValueException",
		       "marker");
	expect_refusal(get(FUNCTIONS "?MaxItems=0"), 400, "InvalidParameterValueException",
		       "MaxItems");
	expect_refusal(get(FUNCTIONS "?MaxItems=-1"), 400, "InvalidParameterValueException",
		       "MaxItems");
	expect_refusal(get(FUNCTIONS "?FunctionVersion=1"), 400,
		       "InvalidParameterValueException", "ALL");
}

/* ---- the parsers alone ---- */

Test(lambda_name, is_taken_in_lambdas_forms_and_no_other)
{
	/* clang-format off */
	static const struct { const char *text, *function, *qualifier; } t[] = {
		{ "function", "function", "" },
		{ "function:f", "f", "" },
		{ "us-gov-west-1:123456789012:function:f:v", "f", "v" },
		{ "arn:aws-cn:lambda:cn-north-1:123456789012:function:f", "f", "" },
		{ "arn:lambda", "arn", "lambda" },
		{ "123456789012", "123456789012", "" },
		{ "123456789012:f", "f", "" },
		{ "12345678901:f", "12345678901", "f" },
		{ "", NULL, NULL },
		{ ":", NULL, NULL },
		{ "f:", NULL, NULL },
		{ ":v", NULL, NULL },
		{ "f:v:w", NULL, NULL },
		{ "f g", NULL, NULL },
		{ "f.g", NULL, NULL },
		{ "arn:aws:s3:us-east-1:123456789012:function:f", NULL, NULL },
		{ "arn:aws:lambda:us-east-1:123456789012:layer:f:1", NULL, NULL },
		{ "f:$latest", NULL, NULL },
	};
	/* clang-format on */
	char longest[LAMBDA_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		struct lambda_name name;
		struct err err;
		int ret = lambda_name_parse(&name, t[i].text, &err);

		cr_expect(eq(int, ret, t[i].function ? 0 : -EINVAL), "%s", t[i].text);
		if (ret < 0 || !t[i].function)
			continue;
		cr_expect(eq(str, name.function, (char *)t[i].function));
		cr_expect(eq(str, name.qualifier, (char *)t[i].qualifier));
	}
	for (size_t len = 1; len < sizeof(longest); len++) {
		struct lambda_name name;

		memset(longest, 'a', len);
		longest[len] = '\0';
		cr_expect(eq(int, lambda_name_parse(&name, longest, NULL),
			     len <= 64 ? 0 : -EINVAL));
	}
}

Test(json_check, knows_json_from_what_is_none)
{
	/* clang-format off */
	static const char *const good[] = {
		"1", "-0", "0.5", "1e9", "1E-9", "1.25e+3", "true", "false", "null", "\"\"", " [ ] ", "{}",
		"[1,2 , [3]]", "{\"a\":{\"b\":[null]} , \"c\":\"\\u00e9\\n\"}", "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
		"\n{\t\"a\"\r: 1 }\n",
	};
	static const char *const bad[] = {
		"", " ", "x", "01", "1.", ".5", "+1", "1e", "-", "tru", "truex", "'a'", "\"", "\"\\x\"", "\"\\u12g4\"",
		"\"\n\"", "[1,]", "[,1]", "[1", "{\"a\"}", "{\"a\":1,}", "{a:1}", "{\"a\":1", "1 2", "[] ]", "\"\xff\"",
		"\"\xc3\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\\", "NaN",
	};
	/* clang-format on */
	char deep[2 * JSON_CHECK_DEPTH + 2];
	size_t where;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		cr_expect(json_check((const uint8_t *)good[i], strlen(good[i]), &where), "%s",
			  good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_expect(not(json_check((const uint8_t *)bad[i], strlen(bad[i]), &where)),
			  "%s", bad[i]);
	memset(deep, '[', JSON_CHECK_DEPTH + 1);
	memset(deep + JSON_CHECK_DEPTH + 1, ']', JSON_CHECK_DEPTH + 1);
	cr_expect(not(json_check((uint8_t *)deep, sizeof(deep), &where)));
	cr_expect(json_check((uint8_t *)deep + 1, sizeof(deep) - 2, &where));
}
