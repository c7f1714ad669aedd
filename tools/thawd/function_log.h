/* SPDX-License-Identifier: Apache-2.0 */
/*
 * function_log.h - what a function prints, in DIR/NAME.log. A file that has become large is
 * renamed to NAME.log.1, in place of the one before, so a function that prints without end
 * has two files' worth of disk.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FUNCTION_LOG_MAX (8u << 20) /* bytes; ours */

struct function_log {
	int fd; /* -1: it cannot be written; nobody waits for that */
	uint64_t size;
	char *path;
	char text[4096]; /* to be written */
	size_t len;
};

void function_log_open(struct function_log *l, const char *dir, const char *name);
void function_log_close(struct function_log *l);
/* Written at the latest by the next function_log_flush or function_log_close. */
void function_log_add(struct function_log *l, const void *text, size_t len);
void function_log_flush(struct function_log *l);

/* Up to where somebody has read: a file, by whatever name, and a place in it. 0, 0: nowhere. */
struct function_log_mark {
	uint64_t inode, offset;
};

/*
 * function_log_read - up to @max bytes after @mark, which moves on; after none, the last ones.
 * What was renamed meanwhile is read to its end first. From any process.
 *
 * Returns how many there are in @text; 0 also if there is no log.
 */
size_t function_log_read(const char *dir, const char *name, struct function_log_mark *mark,
			 char *text, size_t max);
