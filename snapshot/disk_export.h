/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk_export.h - a drive of an image as a file of its own: what lay below it, and above that what its
 * machine had written.
 */
#pragma once

#include "engine/util.h"

struct disk;
struct err;

/* Write all of @disk to the empty file @fd, with holes where there are zeros. Errors: what pread and pwrite
 * say. */
int disk_export(const struct disk *disk, int fd, struct err *err) must_check;
