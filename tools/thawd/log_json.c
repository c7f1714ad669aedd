/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/log_json.h"

#include <jansson.h>
#include <stdio.h>

#include "tools/thaw/cmd.h"
#include "tools/thawd/stamp.h"

#define TIME_SIZE 40u

/* "2026-01-31T12:00:00.123456Z" */
static void rfc3339(char text[TIME_SIZE], nsec_t realtime)
{
	char second[STAMP_SECOND_SIZE];

	stamp_second(second, (int64_t)(realtime / NSEC_PER_SEC));
	snprintf(text, TIME_SIZE, "%s.%06uZ", second,
		 (unsigned int)(realtime % NSEC_PER_SEC / NSEC_PER_USEC));
}

/* NULL where there is no such thing. */
static json_t *name(const char *text)
{
	return *text ? cmd_json_text(text) : NULL;
}

size_t log_json(const struct log_entry *e, char line[LOG_LINE_SIZE])
{
	char time[TIME_SIZE];
	json_t *doc;
	size_t len;

	rfc3339(time, e->realtime);
	doc = json_pack("{s:s, s:s, s:o*, s:o*, s:o*, s:o*, s:o*}", "time", time, "level",
			log_levels[e->level], "component", name(e->file), "function",
			name(e->function), "request_id", name(e->request), "traceparent",
			name(e->trace), "message", cmd_json_text(e->message));
	len = doc ? json_dumpb(doc, line, LOG_LINE_SIZE - 1, JSON_COMPACT) : 0;
	json_decref(doc);
	/* Half an object would be none. */
	if (len == 0 || len > LOG_LINE_SIZE - 1)
		return 0;
	line[len] = '\n';
	return len + 1;
}
