/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_cold.c - guest memory that is not there yet, for a guest that touches 2,048 pages and
 * for sql: LZ4 into a waiting shell against a lazy private mapping of the same bytes
 * uncompressed, both from the page cache and both from disk. The clock runs from the waiting
 * shell to the response on either side; for sql by `auto` from the making of the template, since
 * `auto` decides there what to read when.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/clock.h"
#include "engine/util.h"
#include "snapshot/handles.h"
#include "tools/measure/way.h"

#define ROUNDS	    300u
#define COLD_ROUNDS 60u

struct cold_way {
	struct subject subject;
	struct way way;
};

/* @sample: the event; NULL: any will do, and the working set is recorded with an empty one. */
static int way_open(struct cold_way *w, const struct bench *b, const char *program,
		    const char *sample, const char *tier, struct thaw_err *err)
{
	bool raw = strcmp(tier, "raw") == 0;
	const struct recipe recipe = { .program = program, .raw = raw, .sample = sample };
	const char *event = sample ? sample : "go";
	int ret;

	*w = (struct cold_way){ .way = { .event = event, .event_len = strlen(event) } };
	ret = subject_open_by(&w->subject, b, &recipe, tier, err);
	w->way.template = w->subject.template;
	snprintf(w->way.file, sizeof(w->way.file), "%s/%s", w->subject.dir,
		 raw ? "memory.raw" : "memory.lz4");
	return ret;
}

/* From now on with a template for each start. */
static void way_each(struct cold_way *w, const struct bench *b, const char *tier)
{
	w->way.template = NULL;
	w->way.host = b->host;
	w->way.image = w->subject.image;
	w->way.tier = tier;
}

/* The peer's, and ours if this libthaw has the tier; @ours is not open where it has not. */
static int open_pair(struct cold_way *peer, struct cold_way *ours, struct bench *b,
		     const char *program, struct thaw_err *err)
{
	int ret = way_open(peer, b, program, NULL, "raw", err);

	if (ret == 0 && bench_has_tier("ready"))
		ret = way_open(ours, b, program, NULL, "ready", err);
	return ret;
}

struct pair_names {
	const char *ours, *ours_label, *peer, *peer_label;
};

/* Ours and the peer's in turn. @goal: what it is for; 0: nothing. */
static int measure_pair(struct bench *b, struct cold_way *ours, struct cold_way *peer,
			const struct pair_names *names, enum goal goal, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	struct variant v[2] = {
		{ way_sample, &peer->way, series_new(l, names->peer, names->peer_label), 0 },
	};
	size_t n = 1;
	struct rounds rounds = { bench_rounds(b, peer->way.cold ? COLD_ROUNDS : ROUNDS), 2,
				 b->quick ? 3 : 40 };
	int ret;

	if (ours->subject.template)
		v[n++] = (struct variant){ way_sample, &ours->way,
					   series_new(l, names->ours, names->ours_label), 0 };
	ret = series_interleave(v, n, rounds, err);
	if (ret < 0 || n < 2 || !goal)
		return ret;
	goals_ratio(&b->goals, goal, v[1].to, 50, v[0].to, 50);
	goals_beside(&b->goals, goal, "p50 %.2f ms and %.2f ms",
		     series_stats(v[1].to).p50 / 1e3, series_stats(v[0].to).p50 / 1e3);
	return 0;
}

static void set_cold(struct cold_way *ours, struct cold_way *peer)
{
	ours->way.cold = peer->way.cold = true;
}

static int measure_touch(struct bench *b, struct cold_way *ours, struct cold_way *peer,
			 struct thaw_err *err)
{
	static const struct pair_names cached = { "ready_touch_us",
						  "ready, LZ4, 2,048 pages touched",
						  "lazy_touch_us",
						  "lazy MAP_PRIVATE, page-cached, the same" };
	static const struct pair_names cold = { "ready_touch_cold_us",
						"ready, LZ4, cold disk, 2,048 pages touched",
						"lazy_touch_cold_us",
						"mmap and touch, cold disk, the same" };
	int ret = measure_pair(b, ours, peer, &cached, GOAL_READY, err);

	if (ret < 0)
		return ret;
	set_cold(ours, peer);
	return measure_pair(b, ours, peer, &cold, GOAL_COLD, err);
}

static const struct series *find(const struct series_list *l, const char *name)
{
	const struct series *s = l->all;

	while (strcmp(s->name, name) != 0)
		s++;
	return s;
}

/* Bytes in the file of the frames that hold the working set. */
static double working_set_stored(const struct thaw_template *t)
{
	const struct plan *plan = &t->template.plan;
	double sum = 0;

	for (uint64_t i = 0; i < plan->nhot; i++)
		sum += plan->image->frames.table[plan->list[i]].stored;
	return sum;
}

static void sql_bars(struct bench *b, const struct cold_way *ours)
{
	const struct series *cold = find(&b->report.series, "auto_sql_cold_us");
	const struct series *peer = find(&b->report.series, "lazy_sql_cold_us");
	double read = series_stats(ours->way.bytes).p50;
	double stored = working_set_stored(ours->subject.template);

	bars_ratio(&b->bars, BAR_COLD, cold, peer);
	bars_beside(&b->bars, BAR_COLD, "p50 %.2f ms and %.2f ms", series_stats(cold).p50 / 1e3,
		    series_stats(peer).p50 / 1e3);
	bars_value(&b->bars, BAR_READ, read / stored);
	bars_beside(&b->bars, BAR_READ,
		    "p50 %.0f KiB read; the working set: %.0f KiB, %ju pages", read / 1024,
		    stored / 1024, (uintmax_t)ours->subject.template->template.plan.hot_pages);
}

/* sql by `auto` from a cold disk, and how much it reads. */
static int measure_sql(struct bench *b, struct thaw_err *err)
{
	static const struct pair_names names = { "auto_sql_cold_us", "sql, auto, cold disk",
						 "lazy_sql_cold_us",
						 "sql, mmap and touch, cold disk" };
	static const char query[] = "select id from orders where id=1234";
	static struct cold_way ours, peer;
	int ret = way_open(&peer, b, "sql", query, "raw", err);

	if (ret == 0)
		ret = way_open(&ours, b, "sql", query, "auto", err);
	if (ret == 0) {
		way_each(&ours, b, "auto");
		way_each(&peer, b, "raw");
		ours.way.bytes = series_new(&b->report.series, "auto_sql_cold_read_bytes",
					    "sql, auto, cold disk, bytes read");
		set_cold(&ours, &peer);
		ret = measure_pair(b, &ours, &peer, &names, 0, err);
	}
	if (ret == 0) {
		sql_bars(b, &ours);
	} else {
		bars_beside(&b->bars, BAR_COLD, "%s", err->text);
		bars_beside(&b->bars, BAR_READ, "%s", err->text);
	}
	subject_close(&ours.subject);
	subject_close(&peer.subject);
	return ret;
}

int bench_cold(struct bench *b, struct thaw_err *err)
{
	static struct cold_way ours, peer;
	int ret = open_pair(&peer, &ours, b, "bench/touch", err);

	if (ret == 0 && !ours.subject.template) {
		goals_missing(&b->goals, GOAL_READY, "this libthaw has no tier ready");
		goals_missing(&b->goals, GOAL_COLD, "this libthaw has no tier ready");
	}
	if (ret == 0)
		ret = measure_touch(b, &ours, &peer, err);
	if (ret < 0) {
		goals_missing(&b->goals, GOAL_READY, "%s", err->text);
		goals_missing(&b->goals, GOAL_COLD, "%s", err->text);
	}
	subject_close(&ours.subject);
	subject_close(&peer.subject);
	if (ret == 0)
		ret = measure_sql(b, err);
	return ret;
}
