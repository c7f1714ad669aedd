/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/util.h"

#define LOG_RING 128u /* lines kept; ours */

const char *const log_levels[LOG_LEVELS] = { "error", "warn", "info", "debug" };

static size_t as_text(const struct log_entry *e, char line[LOG_LINE_SIZE]);

static enum log_level log_level = LOG_WARN;
static size_t (*log_format)(const struct log_entry *e, char line[LOG_LINE_SIZE]) = as_text;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_entry log_ring[LOG_RING];
static size_t log_first, log_count, log_dropped;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_set_format(size_t (*format)(const struct log_entry *e, char line[LOG_LINE_SIZE]))
{
	log_format = format ? format : as_text;
}

/* [SECONDS] FILE: FUNCTION: REQUEST: TRACE: MESSAGE, without what there is not. */
static size_t as_text(const struct log_entry *e, char line[LOG_LINE_SIZE])
{
	const char *const words[] = { e->file, e->function, e->request, e->trace };
	unsigned long long us = e->monotonic / NSEC_PER_USEC;
	int n = snprintf(line, LOG_LINE_SIZE, "[%llu.%06llu] ", us / 1000000, us % 1000000);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (*words[i])
			n += snprintf(line + n, LOG_LINE_SIZE - (size_t)n, "%s: ", words[i]);
	}
	n += snprintf(line + n, LOG_LINE_SIZE - (size_t)n, "%s\n", e->message);
	return (size_t)n;
}

static void copy(char out[LOG_NAME_SIZE], const char *text)
{
	snprintf(out, LOG_NAME_SIZE, "%s", text ? text : "");
}

/* All of @e but its message. */
static void begin(struct log_entry *e, enum log_level level, const char *file,
		  const struct log_about *about)
{
	e->level = level;
	e->monotonic = clock_monotonic();
	e->realtime = clock_realtime();
	copy(e->file, file);
	copy(e->function, about ? about->function : NULL);
	copy(e->request, about ? about->request : NULL);
	copy(e->trace, about ? about->trace : NULL);
}

void log_line(enum log_level level, const char *file, const struct log_about *about,
	      const char *fmt, ...)
{
	struct log_entry *e;
	va_list ap;

	if (level > log_level)
		return;
	pthread_mutex_lock(&log_lock);
	if (log_count == LOG_RING) {
		log_first = (log_first + 1) % LOG_RING;
		log_count--;
		log_dropped++;
	}
	e = &log_ring[(log_first + log_count) % LOG_RING];
	begin(e, level, file, about);
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	log_count++;
	pthread_mutex_unlock(&log_lock);
}

static ssize_t write_entry(int fd, const struct log_entry *e)
{
	char line[LOG_LINE_SIZE];

	return write(fd, line, log_format(e, line));
}

static ssize_t write_note(int fd)
{
	struct log_entry e;

	begin(&e, LOG_WARN, "log", NULL);
	snprintf(e.message, sizeof(e.message), "%zu older lines dropped", log_dropped);
	return write_entry(fd, &e);
}

void log_flush(int fd)
{
	ssize_t n = 0;

	pthread_mutex_lock(&log_lock);
	if (log_dropped > 0)
		n = write_note(fd);
	for (; log_count > 0 && n >= 0; log_count--) {
		n = write_entry(fd, &log_ring[log_first]);
		log_first = (log_first + 1) % LOG_RING;
	}
	log_count = log_dropped = 0;
	pthread_mutex_unlock(&log_lock);
}
