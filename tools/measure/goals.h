/* SPDX-License-Identifier: Apache-2.0 */
/*
 * goals.h - the fourteen things that thaw promises about its speed, and what this run found.
 *
 * Each goal has one or two bounds, all of the kind "not more than": a `must` and a `goal`. What
 * was not measured is missed, and says why. docs/benchmarking.md has the definitions.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tools/measure/report.h"
#include "tools/measure/stats.h"

#define GOALS	    14u
#define GOAL_BOUNDS 2u

/* Numbers as in docs/benchmarking.md. */
enum goal {
	GOAL_WARM_SPAWN = 1,
	GOAL_WARM_BARE = 2,
	GOAL_FRESH_USUAL = 3,
	GOAL_FRESH_IOCTLS = 4,
	GOAL_RATE = 5,
	GOAL_READY = 6,
	GOAL_COLD = 7,
	GOAL_MEMORY = 8,
	GOAL_COUNTS = 9,
	GOAL_FAN_OUT = 10,
	GOAL_QEMU = 11,
	GOAL_JITTER = 12,
	GOAL_SIZE = 13,
	GOAL_REWIND = 14,
};

struct goal_bound {
	const char *unit; /* NULL: there is no such bound; "": a ratio or a count */
	double must, goal;
	bool at_least; /* a rate: not less than */
	bool measured;
	struct ratio found; /* low and high are value where there is no interval */
};

struct goal_row {
	const char *what;
	struct goal_bound bounds[GOAL_BOUNDS];
	char beside[320];  /* what is reported with it */
	char missing[240]; /* why it was not measured */
};

struct goals {
	struct goal_row rows[GOALS + 1]; /* by number; row 0 is not used */
	char verdict[48];
	struct table *table; /* of the report; the first one */
};

/* @r: has no table yet. */
void goals_init(struct goals *g, struct report *r);

/* A bound was measured; of a plain value low and high are the same. */
void goals_found(struct goals *g, enum goal number, unsigned int bound, struct ratio found);
void goals_value(struct goals *g, enum goal number, unsigned int bound, double value);

/* The ratio of two series' percentiles. Where one is empty the goal stays as it is: the reason
 * was told by whoever did not fill it. */
void goals_ratio(struct goals *g, enum goal number, const struct series *over,
		 unsigned int over_percent, const struct series *under,
		 unsigned int under_percent);

/* Text that goes with a goal; the second adds "; " and more. */
void goals_missing(struct goals *g, enum goal number, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void goals_beside(struct goals *g, enum goal number, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* All bounds of the goal measured and kept? @goal: as a goal, else as a must. */
bool goals_kept(const struct goals *g, enum goal number, bool goal);

/* Of one bound: kept? "<= 0.33", "1.5 [1.4, 1.6]" or "not measured", cut to @size. The texts'
 * lengths are returned, as snprintf does. */
bool bound_kept(const struct goal_bound *b, bool goal);
size_t bound_limit_text(const struct goal_bound *b, bool goal, char *text, size_t size);
size_t bound_found_text(const struct goal_bound *b, char *text, size_t size);

/* Fill the table, add the JSON ("goals", "verdict") and the verdict to @r. */
void goals_report(struct goals *g, struct report *r);
