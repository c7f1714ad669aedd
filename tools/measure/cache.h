/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h - files that are not in the page cache, and what was read of them. */
#pragma once

#include <stdint.h>

#include "snapshot/thaw.h"

/*
 * cache_drop - drop the file @path from the page cache, and look that it is gone.
 * Errors: -EBUSY part of it stays: it is mapped, dirty, or its file system lives in memory.
 */
int cache_drop(const char *path, struct thaw_err *err);

/* Bytes that this process had read from disks so far; 0 where the kernel does not tell. */
uint64_t cache_bytes_read(void);
