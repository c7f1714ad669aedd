/* SPDX-License-Identifier: Apache-2.0 */
/* save.h - a stopped machine -> an image. */
#pragma once

#include <stdbool.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "engine/util.h"

struct io_progress;
struct machine;
struct record_plan;

struct save_options {
	const char *kind;		    /* of the guest (kind.h) */
	const char *program;		    /* for the manifest: the function's name */
	const char *const *args;	    /* argv, NULL at the end */
	const struct record_plan *record;   /* NULL: the image has no working set */
	bool raw;			    /* also write memory.raw */
	bool sync;			    /* wait until it is on the disk */
	const struct io_progress *progress; /* may be NULL */
};

/* How the record runs went. An image that was to have a working set and has none is whole. */
struct save_report {
	int record_ret;	       /* 0, or the errno of record() and */
	struct err record_err; /* why there is no working set */
	nsec_t record_ns;      /* what recording took */
};

/* Can an image say so much of its guest? To be asked before it runs. Errors: -EINVAL, -E2BIG. */
int save_check(const struct save_options *opt, struct err *err) must_check;

/*
 * save - write the image of @m to the directory @dir, atomically, recording its working set
 * before. The machine can go on running afterwards. @report: may be NULL.
 * Errors: what KVM says, -EEXIST @dir is something else, the file system's.
 */
int save(struct machine *m, const char *dir, const struct save_options *opt,
	 struct save_report *report, struct err *err) must_check;
