/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h - how long something took: counts in buckets that double, from 1 us to 134 s. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "engine/clock.h"

#define HISTOGRAM_BUCKETS 28u /* up to 2^0, 2^1, ... us; the last one has no limit */

struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	nsec_t sum;
};

void histogram_add(struct histogram *h, nsec_t took);

/* As Prometheus wants it: cumulative buckets, in seconds. @labels: without braces. */
void histogram_print(const struct histogram *h, FILE *to, const char *name, const char *labels);
