/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log.h - what happened, for the person who looks later.
 *
 * Lines go to a ring in memory, so that nothing is written between a restore request and the
 * first reply; whoever owns the program's output calls log_flush() when there is time. Errors
 * are not logged: they are returned (err.h). The ring keeps the newest lines.
 *
 * Each .c file that logs defines LOG to its short name before including this.
 */
#pragma once

#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Lines above @level are dropped where they are made. Default: LOG_WARN. */
void log_set_level(enum log_level level);

/* Write to @fd what the ring holds and empty it. Short writes lose the rest. */
void log_flush(int fd);

void log_line(enum log_level level, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define log_warn(...)  log_line(LOG_WARN, LOG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, LOG, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, LOG, __VA_ARGS__)
