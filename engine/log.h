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

#include "engine/clock.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_LEVELS };
extern const char *const log_levels[LOG_LEVELS]; /* "error" and so on */

/* Lines above @level are dropped where they are made. Default: LOG_WARN. */
void log_set_level(enum log_level level);

/* What a line is about; NULL: no such thing. */
struct log_about {
	const char *function;
	const char *request; /* its id */
	const char *trace;   /* W3C trace context, that the request is part of */
};

#define LOG_MESSAGE_SIZE 256u /* ours: what is longer is cut */
#define LOG_NAME_SIZE	 72u  /* the same; names of functions and the rest have up to 64 */

struct log_entry {
	enum log_level level;
	nsec_t monotonic, realtime; /* when */
	char file[LOG_NAME_SIZE];
	char function[LOG_NAME_SIZE], request[LOG_NAME_SIZE], trace[LOG_NAME_SIZE]; /* or "" */
	char message[LOG_MESSAGE_SIZE];
};

#define LOG_LINE_SIZE 4096u /* room for an entry, if each of its bytes becomes six */

/*
 * log_set_format - how an entry is written: as one @line, with its newline, of which the length
 * is returned. NULL, the default: as text.
 */
void log_set_format(size_t (*format)(const struct log_entry *e, char line[LOG_LINE_SIZE]));

/* Write to @fd what the ring holds and empty it. Short writes lose the rest. */
void log_flush(int fd);

/* @about: NULL: nothing in particular. */
void log_line(enum log_level level, const char *file, const struct log_about *about,
	      const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#define log_warn(...)  log_line(LOG_WARN, LOG, NULL, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, LOG, NULL, __VA_ARGS__)
#define log_debug(...) log_line(LOG_DEBUG, LOG, NULL, __VA_ARGS__)

/* The same about a function. */
#define log_warn_of(name, ...)                                                                 \
	log_line(LOG_WARN, LOG, &(struct log_about){ .function = (name) }, __VA_ARGS__)
#define log_info_of(name, ...)                                                                 \
	log_line(LOG_INFO, LOG, &(struct log_about){ .function = (name) }, __VA_ARGS__)
