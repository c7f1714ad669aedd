/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/util.h"

#define LOG_LINE 256u /* longest line, cut beyond; ours */
#define LOG_RING 128u /* lines kept; ours */

static enum log_level log_level = LOG_WARN;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static char log_ring[LOG_RING][LOG_LINE];
static size_t log_first, log_count, log_dropped;

void log_set_level(enum log_level level)
{
	log_level = level;
}

/* Format one line, newline included, into the slot of the ring that is next. */
static void log_format(char *line, const char *file, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void log_format(char *line, const char *file, const char *fmt, va_list ap)
{
	uint64_t us = clock_monotonic() / NSEC_PER_USEC;
	int used = snprintf(line, LOG_LINE,
			    "[%llu.%06llu] %s: ", (unsigned long long)(us / 1000000),
			    (unsigned long long)(us % 1000000), file);
	size_t at = MIN((size_t)MAX(used, 0), (size_t)LOG_LINE - 2);

	vsnprintf(line + at, LOG_LINE - 1 - at, fmt, ap);
	at = strlen(line);
	line[at] = '\n';
	line[at + 1] = '\0';
}

void log_line(enum log_level level, const char *file, const char *fmt, ...)
{
	va_list ap;

	if (level > log_level)
		return;
	pthread_mutex_lock(&log_lock);
	if (log_count == LOG_RING) {
		log_first = (log_first + 1) % LOG_RING;
		log_count--;
		log_dropped++;
	}
	va_start(ap, fmt);
	log_format(log_ring[(log_first + log_count) % LOG_RING], file, fmt, ap);
	va_end(ap);
	log_count++;
	pthread_mutex_unlock(&log_lock);
}

void log_flush(int fd)
{
	char note[64];
	ssize_t n = 0;

	pthread_mutex_lock(&log_lock);
	if (log_dropped > 0) {
		snprintf(note, sizeof(note), "log: %zu older lines dropped\n", log_dropped);
		n = write(fd, note, strlen(note));
	}
	for (; log_count > 0 && n >= 0; log_count--) {
		n = write(fd, log_ring[log_first], strlen(log_ring[log_first]));
		log_first = (log_first + 1) % LOG_RING;
	}
	log_count = log_dropped = 0;
	pthread_mutex_unlock(&log_lock);
}
