/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h - what a server tells Prometheus of itself, in the text format 0.0.4. */
#pragma once

#include <stddef.h>

#include "engine/util.h"

struct err;

#define METRICS_LABELS 8u /* of one sample; ours */

struct metric_label {
	char name[64], value[192];
};

/* One sample. */
struct metric {
	char name[128];
	size_t nlabels;
	struct metric_label labels[METRICS_LABELS];
	double value;
};

/*
 * metrics_next - the sample that comes next in the text at *@at, which moves on behind it.
 * Comments and empty lines are passed over, times are dropped.
 *
 * Returns 1; 0 at the end. Errors: -EINVAL a line that is no sample, or has no room in @m.
 */
int metrics_next(struct metric *m, const char **at, struct err *err) must_check;

/* The value of a label; "" if there is none of that name. */
const char *metrics_label(const struct metric *m, const char *name);
