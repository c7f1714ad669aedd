/* SPDX-License-Identifier: Apache-2.0 */
/* bench_warm.c - starts in a warm slot, a process per event, and a bare round trip, in turn. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/pooled.h"
#include "bench/rewound.h"
#include "bench/spawn.h"
#include "bench/warm.h"
#include "engine/util.h"
#include "tools/measure/bare.h"
#include "tools/measure/count.h"
#include "tools/thaw/cmd.h"

#define ROUNDS	   5000u
#define POOL_EVERY 5u /* rounds: a start uses a process up, and the next ones must be made */
#define EVENTS	   10000u /* goal 14 */
#define LOOK_EVERY 10u	  /* ours: comparing all of RAM takes as long as many events */

static const enum goal warm_goals[] = { GOAL_WARM_SPAWN, GOAL_WARM_BARE, GOAL_COUNTS,
					GOAL_JITTER, GOAL_REWIND };

struct warm_part {
	struct warm echo, sql;
	struct warm used; /* a sql machine that is never rewound */
	struct pooled pooled;
	struct spawn spawn;
	struct bare bare;
};

static const char query[] = "select id from orders where id=1234";
static const char rows[] = "[{\"id\":1234}]\n";

/*
 * Against a process per event. Every sample here comes after a process was made and ended, which
 * costs what follows some of its caches: the peer's share of the noise, for all alike.
 */
static int against_spawn(struct bench *b, struct warm_part *p, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	struct chart *chart = report_chart(&b->report, CHART_CDF,
					   "A pristine machine per event, and its peers");
	const struct variant v[] = {
		{ .run = spawn_sample,
		  .arg = &p->spawn,
		  .to = series_new(l, "spawn_us", "posix_spawn of a static binary") },
		{ .run = slot_sample,
		  .arg = &p->echo.slot,
		  .to = series_new(l, "warm_us", "warm start, echo") },
		{ .run = slot_sample,
		  .arg = &p->sql.slot,
		  .to = series_new(l, "warm_sql_us", "warm start, sql") },
		{ .run = slot_used_sample,
		  .arg = &p->used.slot,
		  .to = series_new(l, "used_sql_us", "sql, on a used machine") },
		{ .run = pooled_sample,
		  .arg = &p->pooled,
		  .to = series_new(l, "pooled_us", "pooled start, shell waiting, echo"),
		  .every = POOL_EVERY },
	};
	struct rounds rounds = { bench_rounds(b, ROUNDS), 20, b->quick ? 5 : 60 };
	int ret;

	p->echo.slot.rewind = series_new(l, "rewind_us", "rewind at release, echo");
	p->sql.slot.rewind = series_new(l, "rewind_sql_us", "rewind at release, sql");
	chart->x_label = "microseconds, logarithmic";
	chart->y_label = "% of samples";
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		chart->series[chart->nseries++] = v[i].to;
	ret = series_interleave(v, ARRAY_SIZE(v), rounds, err);
	if (ret < 0)
		return ret;
	bars_value(&b->bars, BAR_ECHO, series_stats(v[1].to).p50);
	bars_value(&b->bars, BAR_SQL, series_stats(v[2].to).p50 - series_stats(v[3].to).p50);
	bars_beside(&b->bars, BAR_SQL, "p50 %.1f us and %.1f us", series_stats(v[2].to).p50,
		    series_stats(v[3].to).p50);
	goals_ratio(&b->goals, GOAL_WARM_SPAWN, v[1].to, 50, v[0].to, 50);
	goals_beside(
		&b->goals, GOAL_WARM_SPAWN,
		"echo p50 %.1f us, rewind at release p50 %.1f us; sql p50 %.1f us, the "
		"same query on a used machine %.1f us; a pooled start, shell waiting, in a "
		"process of its own: echo p50 %.1f us",
		series_stats(v[1].to).p50, series_stats(p->echo.slot.rewind).p50,
		series_stats(v[2].to).p50, series_stats(v[3].to).p50,
		series_stats(v[4].to).p50);
	return 0;
}

/* Against the floor, with nothing else between. */
static int against_bare(struct bench *b, struct warm_part *p, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	struct chart *chart = report_chart(&b->report, CHART_CDF, "A warm start and its floor");
	const struct variant v[] = {
		{ .run = bare_sample,
		  .arg = &p->bare,
		  .to = series_new(l, "bare_us", "bare KVM_RUN round trip") },
		{ .run = slot_sample,
		  .arg = &p->echo.slot,
		  .to = series_new(l, "warm_calm_us", "warm start, echo, no spawns between") },
	};
	struct rounds rounds = { bench_rounds(b, 4 * ROUNDS), 20, b->quick ? 5 : 60 };
	int ret;

	p->echo.slot.rewind =
		series_new(l, "rewind_calm_us", "rewind, echo, no spawns between");
	chart->x_label = "microseconds, logarithmic";
	chart->y_label = "% of samples";
	chart->series[chart->nseries++] = v[0].to;
	chart->series[chart->nseries++] = v[1].to;
	chart->series[chart->nseries++] = p->echo.slot.rewind;
	ret = series_interleave(v, ARRAY_SIZE(v), rounds, err);
	if (ret < 0)
		return ret;
	goals_ratio(&b->goals, GOAL_WARM_BARE, v[1].to, 50, v[0].to, 50);
	goals_ratio(&b->goals, GOAL_JITTER, v[1].to, 99, v[1].to, 50);
	goals_beside(&b->goals, GOAL_WARM_BARE, "p50 %.1f us and %.1f us",
		     series_stats(v[1].to).p50, series_stats(v[0].to).p50);
	return 0;
}

/* The counted process has a slot of its own: a VM belongs to the process that made it. */
struct counted_slot {
	const struct bench *b;
	struct warm warm;
};

static int slot_prepare(void *arg, struct thaw_err *err)
{
	struct counted_slot *s = arg;
	double us;
	int ret = warm_open(&s->warm, s->b, "echo", "ping", "ping", err);

	for (int i = 0; i < 10 && ret == 0; i++)
		ret = slot_sample(&s->warm.slot, &us, err);
	return ret;
}

static int slot_run(void *arg, struct thaw_err *err)
{
	struct counted_slot *s = arg;
	double us;

	return slot_invoke(&s->warm.slot, &us, err);
}

static int count_warm(struct bench *b, struct thaw_err *err)
{
	static struct counted_slot slot;
	const struct counted what = { slot_prepare, slot_run, &slot };
	struct counts c;
	int ret;

	slot.b = b;
	ret = count_run(&c, &what, err);
	if (ret < 0)
		return ret;
	goals_value(&b->goals, GOAL_COUNTS, 0, c.faults);
	goals_value(&b->goals, GOAL_COUNTS, 1, c.calls);
	return 0;
}

/* What different events make the rewind copy, and what had really changed. */
static int vary_events(struct bench *b, struct thaw_err *err)
{
	struct rewound r;
	char dir[128];
	int ret = subject_build(b, "sql", false, dir, err);

	if (ret == 0)
		ret = rewound_measure(&r, &b->kvm, dir, bench_rounds(b, EVENTS), LOOK_EVERY,
				      err);
	if (ret < 0)
		return ret;
	if (r.changed > 0)
		goals_value(&b->goals, GOAL_REWIND, 0, (double)r.copied / (double)r.changed);
	goals_beside(&b->goals, GOAL_REWIND,
		     "%llu events to sql, RAM compared after %llu of them: %.1f pages changed "
		     "each",
		     (unsigned long long)r.events, (unsigned long long)r.looked,
		     (double)r.changed / (double)r.looked);
	return 0;
}

static int open_slots(struct warm_part *p, const struct bench *b, struct thaw_err *err)
{
	int ret = warm_open(&p->echo, b, "echo", "ping", "ping", err);

	if (ret == 0)
		ret = warm_open(&p->sql, b, "sql", query, rows, err);
	if (ret == 0)
		ret = warm_open(&p->used, b, "sql", query, rows, err);
	if (ret == 0)
		ret = pooled_open(&p->pooled, b->zygote, p->echo.subject.template, "ping",
				  "ping", err);
	return ret;
}

static int warm_measure(struct bench *b, struct warm_part *p, struct thaw_err *err)
{
	int ret = spawn_open(&p->spawn, b->guest, err);

	if (ret == 0)
		ret = bare_open(&p->bare, &b->kvm, err);
	if (ret == 0)
		ret = open_slots(p, b, err);
	if (ret == 0)
		ret = against_spawn(b, p, err);
	if (ret == 0)
		ret = against_bare(b, p, err);
	if (ret == 0)
		ret = count_warm(b, err);
	return ret < 0 ? ret : vary_events(b, err);
}

int bench_warm(struct bench *b, struct thaw_err *err)
{
	static struct warm_part p;
	int ret = warm_measure(b, &p, err);

	for (size_t i = 0; i < ARRAY_SIZE(warm_goals) && ret < 0; i++)
		goals_missing(&b->goals, warm_goals[i], "%s", err->text);
	if (ret < 0) {
		bars_beside(&b->bars, BAR_ECHO, "%s", err->text);
		bars_beside(&b->bars, BAR_SQL, "%s", err->text);
	}
	pooled_close(&p.pooled);
	warm_close(&p.echo);
	warm_close(&p.sql);
	warm_close(&p.used);
	bare_close(&p.bare);
	spawn_close(&p.spawn);
	return ret;
}
