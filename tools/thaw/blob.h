/* SPDX-License-Identifier: Apache-2.0 */
/* blob.h - a whole file in memory. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

struct blob {
	uint8_t *data; /* malloc'ed; NULL when size is 0 */
	size_t size;
	size_t cap; /* bytes allocated */
};

/*
 * blob_read - read the regular file at @path.
 * Errors: -EFBIG above @max bytes, -EINVAL not a regular file, or what open and read say.
 */
int blob_read(struct blob *b, const char *path, uint64_t max, struct err *err) must_check;

/* blob_read_fd - read @fd to its end, whatever it is. @what: its name in errors. */
int blob_read_fd(struct blob *b, int fd, const char *what, uint64_t max,
		 struct err *err) must_check;

/* Append bytes. Errors: -EFBIG above @max bytes in all, -ENOMEM. */
int blob_append(struct blob *b, const void *data, size_t len, uint64_t max,
		struct err *err) must_check;

/* A copy of @text in place of what @b held; .data is there for an empty one, too.
 * Errors: -ENOMEM. */
int blob_set_text(struct blob *b, const char *text, struct err *err) must_check;

void blob_free(struct blob *b);
