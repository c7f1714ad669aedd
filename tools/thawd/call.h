/* SPDX-License-Identifier: Apache-2.0 */
/*
 * call.h - one invocation, as the frontend hands it to whoever runs it, and how it ended.
 *
 * The frontend owns a call. From `invoke` of struct call_ops on it stays, with all that it
 * points to, until either call_done (which may be called before invoke returns, or later) or
 * `cancel`; after either, nobody may touch it. Everything happens on the loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "tools/thawd/aws_error.h"
#include "tools/thawd/names.h"
#include "tools/thawd/stamp.h"
#include "tools/thawd/tail.h"

#define CALL_NAME_SIZE	    NAMES_FUNCTION_SIZE
#define CALL_QUALIFIER_SIZE NAMES_QUALIFIER_SIZE
#define CALL_ID_SIZE	    STAMP_UUID_SIZE
#define CALL_LOG_MAX	    TAIL_SIZE /* bytes of a log's end that a client is shown */

enum call_type {
	CALL_REQUEST_RESPONSE, /* the client waits for the reply */
	CALL_EVENT,	       /* the client waits until it is queued */
	CALL_DRY_RUN,	       /* the client asks whether it would be taken */
};

struct call {
	char function[CALL_NAME_SIZE];
	char qualifier[CALL_QUALIFIER_SIZE]; /* "": none was named */
	char id[CALL_ID_SIZE];		     /* of the request */
	enum call_type type;
	bool wants_log;
	const uint8_t *payload; /* any bytes; NULL when len is 0 */
	size_t len;
	const char *client_context; /* base64, of valid form; or NULL */
	const char *traceparent;    /* W3C trace context, of valid form; or NULL */
	const char *trace_id;	    /* X-Amzn-Trace-Id, as it came; or NULL */
	nsec_t received;	    /* clock_monotonic() when its headers were there */
	void *data;		    /* of who runs it */
};

/*
 * How it ended. Everything is copied by call_done.
 *
 *	a reply		body, len
 *	no function ran	error, message
 *	it failed	function_error, with the body it gave, or error_type and message
 *	queued, dry run	nothing
 */
struct outcome {
	enum aws_error error;
	const char *message;	    /* one sentence */
	const char *reason;	    /* AWS_TOO_MANY_REQUESTS: AWS_REASON_...; or NULL */
	uint32_t retry_after_s;	    /* the same; 0: not said */
	const char *function_error; /* "Unhandled"; NULL: it did not fail */
	const char *error_type;	    /* "Runtime.ExitError", "Sandbox.Timedout" and so on */
	const void *body;
	size_t len;
	const char *log; /* what it printed; the last CALL_LOG_MAX bytes are shown */
	size_t log_len;
	const char *executed_version; /* NULL: "$LATEST" */
};

struct call_ops {
	void (*invoke)(struct call *call, void *data);
	/* The client has gone. An event that is not queued yet may be dropped. */
	void (*cancel)(struct call *call, void *data);
};

/* Answer the client. */
void call_done(struct call *call, const struct outcome *outcome);
