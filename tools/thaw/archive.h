/* SPDX-License-Identifier: Apache-2.0 */
/* archive.h - the files that a guest gets, as a newc cpio archive. */
#pragma once

#include "tools/thaw/blob.h"

/*
 * archive_files - @path is a directory, which is packed, or a cpio archive, which is taken as
 * it is (the guest checks it). Owner and times are left out, so equal trees give equal bytes.
 * Errors: -EFBIG above @max bytes; -EINVAL neither of both; what the file system says.
 */
int archive_files(struct blob *out, const char *path, uint64_t max, struct err *err) must_check;

/* A file whose bytes are in memory. Its directory comes before it in the list, with @data NULL. */
struct archive_item {
	const char *name; /* without a leading slash */
	const void *data;
	size_t size;
	uint32_t mode; /* permission bits */
};

/* archive_items - an archive of @n items, appended to @out. Errors: -EFBIG above @max bytes in all. */
int archive_items(struct blob *out, const struct archive_item *items, size_t n, uint64_t max,
		  struct err *err) must_check;
