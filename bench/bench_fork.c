/* SPDX-License-Identifier: Apache-2.0 */
/* bench_fork.c - how long a live fork stops a machine: with little memory and with much, which
 * shall make no difference as long as the same pages are dirty. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

#define ROUNDS 300u

struct forked {
	struct subject subject;
	struct thaw_clone *clone;
	const char *event; /* how many pages it dirties before each fork */
};

/* What is compared: two sizes of memory, the same event. */
static const struct comparison {
	const char *event;
	enum bar bar;
	const char *small, *large; /* series */
} comparisons[] = {
	{ "50", BAR_FORK_FEW, "fork_50_small_us", "fork_50_large_us" },
	{ "1000", BAR_FORK_MANY, "fork_1000_small_us", "fork_1000_large_us" },
};

static int forked_open(struct forked *f, const struct bench *b, const char *mem,
		       struct thaw_err *err)
{
	const struct recipe recipe = { .program = "bench/dirty", .mem = mem };
	int ret = subject_open_by(&f->subject, b, &recipe, "map", err);

	return ret < 0 ? ret : thaw_clone_open(&f->clone, f->subject.template, NULL, NULL, err);
}

static void forked_close(struct forked *f)
{
	thaw_clone_close(f->clone);
	subject_close(&f->subject);
}

static int dirty(struct forked *f, struct thaw_err *err)
{
	size_t len = strlen(f->event);
	struct thaw_reply reply;
	int ret = thaw_clone_invoke(f->clone, f->event, len, 0, &reply, err);

	if (ret == 0 && (reply.len != len || memcmp(reply.data, f->event, len) != 0))
		ret = err_set(cmd_err(err), EIO, "a machine answered wrongly");
	return ret;
}

static int fork_sample(void *arg, double *us, struct thaw_err *err)
{
	struct forked *f = arg;
	struct thaw_snapshot *snapshot;
	struct thaw_snapshot_stats stats;
	int ret = dirty(f, err);

	if (ret < 0)
		return ret;
	ret = thaw_snapshot_begin(&snapshot, f->clone, err);
	if (ret < 0)
		return ret;
	thaw_snapshot_stats(snapshot, &stats);
	*us = (double)stats.pause_ns / 1e3;
	thaw_snapshot_close(snapshot);
	return 0;
}

static int compare(struct bench *b, struct forked *small, struct forked *large,
		   const struct comparison *c, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	char label[2][72];
	struct variant v[2] = { { .run = fork_sample, .arg = small },
				{ .run = fork_sample, .arg = large } };
	double a, z;
	int ret;

	small->event = large->event = c->event;
	snprintf(label[0], sizeof(label[0]), "pause of a fork, %s pages, 64 MiB", c->event);
	snprintf(label[1], sizeof(label[1]), "pause of a fork, %s pages, 1 GiB", c->event);
	v[0].to = series_new(l, c->small, label[0]);
	v[1].to = series_new(l, c->large, label[1]);
	ret = series_interleave(v, ARRAY_SIZE(v),
				(struct rounds){ bench_rounds(b, ROUNDS), 5, 20 }, err);
	if (ret < 0)
		return ret;
	a = series_stats(v[0].to).p50;
	z = series_stats(v[1].to).p50;
	bars_ratio(&b->bars, c->bar, v[a < z].to, v[a >= z].to);
	bars_beside(&b->bars, c->bar, "p50 %.0f us with 64 MiB, %.0f us with 1 GiB", a, z);
	return 0;
}

int bench_fork(struct bench *b, struct thaw_err *err)
{
	struct forked small = { 0 }, large = { 0 };
	int ret = forked_open(&small, b, "64M", err);

	if (ret == 0)
		ret = forked_open(&large, b, "1G", err);
	for (size_t i = 0; i < ARRAY_SIZE(comparisons) && ret == 0; i++)
		ret = compare(b, &small, &large, &comparisons[i], err);
	for (size_t i = 0; i < ARRAY_SIZE(comparisons) && ret < 0; i++)
		bars_beside(&b->bars, comparisons[i].bar, "%s", err->text);
	forked_close(&small);
	forked_close(&large);
	return ret;
}
