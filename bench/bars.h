/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bars.h - what else is promised, beside the fourteen goals: times in microseconds and ratios
 * that hold on the host where they were set, and one verdict for each. They do not count for
 * the last line of the report. docs/benchmarking.md has the definitions.
 */
#pragma once

#include "tools/measure/goals.h"

enum bar {
	BAR_ECHO,	/* warm start of echo */
	BAR_SQL,	/* of sql, over a machine that has answered */
	BAR_THREADS,	/* two threads over one */
	BAR_COLD,	/* sql by `auto` from a cold disk over mmap-and-touch */
	BAR_READ,	/* what it reads, over its working set */
	BAR_FORK_FEW,	/* the pause of a fork, small RAM and large: 50 dirty pages */
	BAR_FORK_MANY,	/* 1000 of them */
	BAR_LINUX,	/* a Linux made of a template, to its reply */
	BAR_LINUX_WARM, /* one that is rewound */
	BAR_DISK,	/* reads of a virtio disk over io_uring's */
	BARS,
};

struct bar_row {
	const char *what;
	struct goal_bound bound; /* .must only */
	char beside[240];	 /* what is reported with it, or why it was not measured */
};

struct bars {
	struct bar_row rows[BARS];
	struct table *table; /* of the report */
};

void bars_init(struct bars *bars, struct report *r);

void bars_value(struct bars *bars, enum bar bar, double value);
/* The ratio of two medians; nothing where a series is empty. */
void bars_ratio(struct bars *bars, enum bar bar, const struct series *over,
		const struct series *under);
void bars_beside(struct bars *bars, enum bar bar, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Fill the table, add "bars" to the JSON. */
void bars_report(struct bars *bars, struct report *r);
