/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.h - memory.raw: guest memory as it is, for mapping. Region after region in rising
 * order, no header, holes where pages are zero.
 *
 * Such a file is only used after its SHA-256 was found right once on this host (file_digest.h).
 */
#pragma once

#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/digest.h"

struct err;
struct io_progress;

/*
 * raw_write - write the file: @fd is empty and becomes sparse. @out: SHA-256 of the content.
 * Errors: -ENOMEM; what ftruncate or pwrite say.
 */
int raw_write(int fd, const struct mem *mem, const struct io_progress *progress,
	      struct digest *out, struct err *err) must_check;

/*
 * raw_verify - does the content have this digest? Always reads all of it.
 * @size: bytes, which the file must have.
 * Errors: -ERR_DAMAGED wrong size or digest; what pread says.
 */
int raw_verify(int fd, uint64_t size, const struct digest *expected,
	       const struct io_progress *progress, struct err *err) must_check;

/*
 * raw_check - the same, but a check that succeeded before on this host is believed.
 * @id: of the image, 32 hex digits; names the file of the cache.
 */
int raw_check(int fd, const char *id, uint64_t size, const struct digest *expected,
	      const struct io_progress *progress, struct err *err) must_check;
