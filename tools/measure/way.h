/* SPDX-License-Identifier: Apache-2.0 */
/*
 * way.h - one way from guest memory that is not there yet to a response: a template of one tier
 * for all starts, or a template made for each, with what holds the memory in the page cache or
 * on disk only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/thaw.h"
#include "tools/measure/series.h"

/* Set before the first sample, but for what is marked. */
struct way {
	const struct thaw_template *template; /* for all starts; NULL: see .tier */
	const struct thaw_host *host;	      /* with .tier */
	const struct thaw_image *image;	      /* with .tier */
	const char *tier; /* of a template made for each start: the clock begins with it */
	const char *event;
	size_t event_len;
	unsigned int timeout_ms;
	bool cold;
	char file[256];	      /* what holds guest memory: dropped before a cold start */
	bool replies_differ;  /* else two different ones are an error */
	struct series *bytes; /* read from disk before each response; NULL: not kept */
	/* Its own, zero before. */
	char reply[4096]; /* of its first start */
	size_t reply_len;
	uint64_t bytes_before;
};

/*
 * way_sample - microseconds from the waiting shell, or from the template's making, to the
 * response. @arg: struct way. Errors: also -EIO another reply than before; -EBUSY the file
 * stays in the page cache.
 */
int way_sample(void *arg, double *us, struct thaw_err *err);
