/* SPDX-License-Identifier: Apache-2.0 */
/* look.h - what a thawd was at one moment, by its metrics; and what happened between two. */
#pragma once

#include <stddef.h>

#include "engine/clock.h"
#include "engine/util.h"

struct err;

enum look_count { LOOK_ANSWERED, LOOK_FAILED, LOOK_TIMED_OUT, LOOK_REFUSED, LOOK_COUNTS };
enum look_time { LOOK_QUEUE, LOOK_RESPONSE, LOOK_REWIND, LOOK_TIMES };
enum look_machine { LOOK_STARTING, LOOK_IDLE, LOOK_BUSY, LOOK_REWINDING, LOOK_MACHINES };

/* "queue" and so on, "starting" and so on: as thawd calls them. */
extern const char *const look_times[LOOK_TIMES], *const look_machines[LOOK_MACHINES];

#define LOOK_BUCKETS 64u /* ours */

/* Cumulative, as Prometheus has them. */
struct look_histogram {
	size_t n;
	struct {
		double up_to_s, count;
	} buckets[LOOK_BUCKETS];
};

/* A version of a function. */
struct look_function {
	char name[192], version[192];
	double counts[LOOK_COUNTS];
	struct look_histogram times[LOOK_TIMES];
	double machines[LOOK_MACHINES];
	double queued;
};

struct look {
	nsec_t at; /* clock_monotonic() */
	double memory_bytes;
	struct look_function *functions;
	size_t n, cap;
};

/*
 * look_read - what @text says, into @l, whose .at is the caller's. Metrics of other names are
 * passed over. look_fini is safe afterwards in every case.
 * Errors: -EINVAL it is no text of metrics; -ENOMEM.
 */
int look_read(struct look *l, const char *text, struct err *err) must_check;
void look_fini(struct look *l);

/* What a function did between two looks. Points into the later one. */
struct look_change {
	const struct look_function *function;
	double invocations_per_s; /* that ended, in any way */
	double errors_per_s;	  /* of them, without a reply */
	struct {
		double p50_s, p99_s; /* NAN: none was measured */
	} times[LOOK_TIMES];
};

/*
 * look_compare - the busiest first. A function that was not there before, or counts anew, counts
 * from 0. @out: room for now->n.
 */
void look_compare(struct look_change *out, const struct look *before, const struct look *now);

/*
 * look_quantile - of what @now counts more than @before; NULL: of all. Between two limits, times
 * are taken for evenly spread; above the last one, they are as long as that.
 */
double look_quantile(const struct look_histogram *before, const struct look_histogram *now,
		     double q);
