/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stamps.h - fresh starts of one image in every tier, in turn: the series "tier_NAME_us" and
 * a chart of the stamps, one bar a tier.
 */
#pragma once

#include <stddef.h>

#include "tools/measure/report.h"

struct stamps_plan {
	const struct thaw_host *host;
	const struct thaw_image *image;
	const char *tier; /* only this one; NULL: all but "auto" */
	const void *event;
	size_t event_len;
	unsigned int timeout_ms; /* of each reply; 0: none */
	unsigned int rounds;	 /* starts of each tier */
	unsigned int budget_s;	 /* 0: none */
};

/* Errors: -EINVAL no such tier; those of a template and of a start; -ENOMEM. */
int stamps_measure(struct report *r, const struct stamps_plan *plan, struct thaw_err *err);
