/* SPDX-License-Identifier: Apache-2.0 */
/* flatten.h - a layer and the images below it -> one whole image of the same machine. */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct err;
struct image;
struct io_progress;

struct flatten_options {
	bool raw;			    /* also write memory.raw */
	bool sync;			    /* wait until it is on the disk */
	const struct io_progress *progress; /* may be NULL */
};

/*
 * flatten - write it to the directory @dir, atomically, with a new id. Needs no KVM.
 * Errors: -ERR_DAMAGED; -EINVAL @img is no layer; -EEXIST @dir is something else; -ENOMEM; the
 * file system's.
 */
int flatten(const struct image *img, const char *dir, const struct flatten_options *opt,
	    struct err *err) must_check;
