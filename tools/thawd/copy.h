/* SPDX-License-Identifier: Apache-2.0 */
/* copy.h - the content of a file into another one, by the cheapest way that the kernel has. */
#pragma once

#include "engine/util.h"

struct err;

/*
 * copy_file - all of @from into the empty file @to: blocks are shared where the file system can
 * (FICLONE), holes stay holes. Both are regular files, open for reading and writing.
 * Errors: the file system's; @to is unspecified then.
 */
int copy_file(int from, int to, struct err *err) must_check;
