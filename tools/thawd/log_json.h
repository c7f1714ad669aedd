/* SPDX-License-Identifier: Apache-2.0 */
/* log_json.h - lines of the log (engine/log.h) for programs that read them: a JSON object each. */
#pragma once

#include "engine/log.h"

/*
 * {"time": RFC 3339 in UTC, with microseconds, "level", "component", "message"}, and where the line
 * is about such a thing "function", "request_id" and "traceparent". For log_set_format.
 */
size_t log_json(const struct log_entry *e, char line[LOG_LINE_SIZE]);
