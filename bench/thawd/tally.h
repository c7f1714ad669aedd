/* SPDX-License-Identifier: Apache-2.0 */
/* tally.h - what became of all requests of a run, and how long the right replies took. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "bench/thawd/verdict.h"
#include "engine/clock.h"

#define TALLY_ERRORS 32u /* different ones; ours */

struct tally {
	uint64_t sent;
	uint64_t right;
	uint64_t errors; /* Lambda's */
	uint64_t wrong;	 /* neither */
	uint64_t lost;	 /* no whole reply: the connection ended, or patience did */
	uint64_t stray;	 /* connections with bytes that nobody asked for */
	struct {
		char name[VERDICT_NAME_SIZE];
		uint64_t n;
	} names[TALLY_ERRORS];
	double *us; /* of right replies */
	size_t cap;
};

void tally_right(struct tally *t, nsec_t took);
void tally_error(struct tally *t, const char *name);
/* @took: of the run. NULL: no memory. */
json_t *tally_json(const struct tally *t, nsec_t took);
void tally_free(struct tally *t);
