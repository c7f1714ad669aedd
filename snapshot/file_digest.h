/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file_digest.h - the SHA-256 of large files, which is looked up where it was found once on this
 * host: memory.raw, and the drives of machines.
 *
 * Which file that was (device, inode, size, mtime, ctime) and what its digest is, is remembered in
 * one small file in $XDG_CACHE_HOME/thaw or ~/.cache/thaw. A cache that is wrong, unreadable or
 * unwritable costs reading the file once more and nothing else.
 */
#pragma once

#include <stdint.h>

#include "engine/util.h"
#include "snapshot/digest.h"

struct err;
struct io_progress;

/*
 * file_digest - SHA-256 of the first @size bytes of @fd.
 * @name: of the file in the cache, at most 63 bytes; the same one for the same file.
 * Errors: as digest_file.
 */
int file_digest(struct digest *out, int fd, const char *name, uint64_t size,
		const struct io_progress *progress, struct err *err) must_check;
