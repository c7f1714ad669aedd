/* SPDX-License-Identifier: Apache-2.0 */
/* save.h - a stopped machine -> an image. */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct err;
struct io_progress;
struct machine;

struct save_options {
	const char *program;		    /* for the manifest: the function's name */
	const char *const *args;	    /* argv, NULL at the end */
	bool raw;			    /* also write memory.raw */
	bool sync;			    /* wait until it is on the disk */
	const struct io_progress *progress; /* may be NULL */
};

/* Whether an image can say so much of its guest; before the guest is run. Errors: -EINVAL, -E2BIG. */
int save_check(const struct save_options *opt, struct err *err) must_check;

/*
 * save - write the image of @m to the directory @dir, atomically. The machine can go on
 * running afterwards. Errors: what KVM says, -EEXIST @dir is something else, the file system's.
 */
int save(struct machine *m, const char *dir, const struct save_options *opt,
	 struct err *err) must_check;
