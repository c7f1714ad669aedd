/* SPDX-License-Identifier: Apache-2.0 */
/* samples.h - the stamps of many starts, and their percentiles. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"

struct json_t; /* jansson's */

struct samples {
	uint32_t n, cap;
	struct phases *all;
};

struct percentiles {
	uint32_t n;		   /* samples that have the stamp */
	nsec_t p50, p90, p99, max; /* since PHASE_REQUEST */
};

/* Returns 0 or -ENOMEM. */
int samples_init(struct samples *s, uint32_t cap);
void samples_fini(struct samples *s);
void samples_add(struct samples *s, const struct phases *p);

/* Of one stamp, cumulative from the request. */
struct percentiles samples_percentiles(const struct samples *s, enum phase phase);

/* {"first_response": {"p50_us": ..., ...}, ...}: every stamp that was taken. New reference. */
struct json_t *samples_json(const struct samples *s);

/* The same as a table on stderr. */
void samples_print(const struct samples *s);
