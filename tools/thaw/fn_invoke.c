/* SPDX-License-Identifier: Apache-2.0 */
/* fn_invoke.c - `thaw fn invoke`: hand a function an event, print its reply. */
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/fn.h"

enum { INVOKE_EVENT = FN_OWN, INVOKE_TAIL, INVOKE_OUTPUT };

static const struct option options[] = {
	FN_OPTIONS,
	{ "event", no_argument, NULL, INVOKE_EVENT },
	{ "tail", no_argument, NULL, INVOKE_TAIL },
	{ "output", required_argument, NULL, INVOKE_OUTPUT },
	{ 0 },
};

struct invoke {
	struct fn *fn;
	const char *name; /* NAME[:QUALIFIER] */
	bool is_event, wants_log;
	const char *output; /* NULL: stdout */
	struct blob event, reply;
	char *log; /* what it printed last; NULL: not asked for */
};

static int take(void *to, int opt, const char *value)
{
	struct invoke *in = to;

	if (opt == INVOKE_EVENT)
		in->is_event = true;
	else if (opt == INVOKE_TAIL)
		in->wants_log = true;
	else
		in->output = value;
	return 0;
}

static int read_event(struct invoke *in, const char *text, struct err *err)
{
	if (!text)
		return 0;
	if (strcmp(text, "-") == 0)
		return blob_read_fd(&in->event, STDIN_FILENO, "stdin", THAW_EVENT_MAX, err);
	return blob_set_text(&in->event, text, err);
}

static int call(struct invoke *in, struct err *err)
{
	const char *headers[3] = { NULL };
	char path[CLIENT_MAX_PATH];
	struct client_ask ask = { .method = "POST",
				  .path = path,
				  .headers = headers,
				  .body = in->event.data,
				  .len = in->event.size };
	size_t n = 0;
	int ret = client_path(&in->fn->client, path, err, FN_LAMBDA "/invocations", in->name);

	if (in->is_event)
		headers[n++] = "X-Amz-Invocation-Type: Event";
	if (in->wants_log)
		headers[n++] = "X-Amz-Log-Type: Tail";
	return ret < 0 ? ret : client_call(&in->fn->client, &ask, &in->reply, err);
}

/* ---- what it printed ---- */

static int take_log(struct invoke *in, struct err *err)
{
	const char *base64 = client_header(&in->fn->client, "X-Amz-Log-Result");
	size_t len = base64 ? strlen(base64) : 0, padding = 0;
	int n;

	if (!base64)
		return 0;
	in->log = malloc(len / 4 * 3 + 1);
	if (!in->log)
		return err_set(err, ENOMEM, "no memory for a log");
	n = EVP_DecodeBlock((uint8_t *)in->log, (const uint8_t *)base64, (int)len);
	while (padding < 2 && padding < len && base64[len - 1 - padding] == '=')
		padding++;
	/* OpenSSL counts what the padding stands for. */
	if (n < (int)padding)
		return err_set(err, EPROTO, "thawd's X-Amz-Log-Result is no base64");
	in->log[n - (int)padding] = '\0';
	return 0;
}

/* ---- how it ended ---- */

static int write_reply(const struct invoke *in, struct err *err)
{
	FILE *to = in->output ? fopen(in->output, "we") : stdout;
	size_t n;

	if (!to)
		return err_sys(err, "%s", in->output);
	n = fwrite(in->reply.data, 1, in->reply.size, to);
	if (in->output ? fclose(to) != 0 || n < in->reply.size : n < in->reply.size)
		return err_sys(err, "write the reply");
	return 0;
}

/* A function that failed: @doc is what thawd says of it; NULL: the function says it by itself. */
static int fail(const struct invoke *in, const json_t *doc)
{
	bool in_time = strcmp(fn_text(doc, "errorType"), "Sandbox.Timedout") != 0;
	struct err err;

	err_set(&err, 0, "%s: %s", in->name, doc ? fn_text(doc, "errorMessage") : "failed");
	return cmd_fail(in_time ? -ERR_CRASHED : -ERR_TIMED_OUT, &err);
}

static int print_json(const struct invoke *in, const json_t *failure)
{
	const struct client *c = &in->fn->client;

	return cmd_print_json(
		stderr,
		json_pack("{s:s, s:s*, s:I, s:s*, s:s*, s:s*, s:o*}", "function", in->name,
			  "executed_version", client_header(c, "X-Amz-Executed-Version"),
			  "reply_size_bytes", failure ? 0 : (json_int_t)in->reply.size,
			  "function_error", client_header(c, "X-Amz-Function-Error"),
			  "error_type", failure ? fn_text(failure, "errorType") : NULL,
			  "error_message", failure ? fn_text(failure, "errorMessage") : NULL,
			  "log", in->log ? cmd_json_text(in->log) : NULL));
}

static int report(const struct invoke *in, struct err *err)
{
	bool failed = client_header(&in->fn->client, "X-Amz-Function-Error");
	json_t *doc = failed ? json_loadb((const char *)in->reply.data, in->reply.size, 0, NULL)
			     : NULL;
	int ret = 0, code = 0;

	if (*fn_text(doc, "errorMessage") == '\0') {
		json_decref(doc);
		doc = NULL;
		ret = write_reply(in, err);
	}
	if (in->log && !in->fn->json)
		fputs(in->log, stderr);
	if (in->fn->json)
		code = print_json(in, doc);
	if (ret < 0)
		code = cmd_fail(ret, err);
	else if (failed)
		code = fail(in, doc);
	json_decref(doc);
	return code;
}

static int run_invoke(struct fn *f, int argc, char **argv)
{
	static const struct fn_syntax syntax = { "", options, take,
						 1,  2,	      "NAME[:QUALIFIER] [EVENT | -]" };
	struct invoke in = { .fn = f };
	struct err err;
	int ret, code = fn_parse(f, argc, argv, &syntax, &in);

	if (code != 0)
		return code;
	in.name = argv[optind];
	ret = read_event(&in, argv[optind + 1], &err);
	if (ret == 0)
		ret = call(&in, &err);
	if (ret == 0)
		ret = take_log(&in, &err);
	code = ret < 0 ? cmd_fail(ret, &err) : report(&in, &err);
	blob_free(&in.event);
	blob_free(&in.reply);
	free(in.log);
	return code;
}

const struct fn_verb fn_invoke = { "invoke", run_invoke };
