/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_fresh.c - machines made from nothing but a template: against the usual order of calls,
 * against the sum of their own ioctls, and against QEMU.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/calls.h"
#include "bench/qemu.h"
#include "tools/measure/stamps.h"
#include "tools/measure/usual.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/start.h"

#define ROUNDS	   1000u
#define QEMU_EVERY 20u /* rounds: it takes as long as forty of ours */
#define EXEC_EVERY 5u

static const char event[] = "ping";

struct fresh {
	const struct bench *b;
	struct subject echo;
	struct start_plan plan;
	struct start_result *result; /* shared with children */
	struct calls calls;
	struct series *ioctls; /* sum of each start that was recorded */
	struct usual usual;
	struct qemu qemu;
	bool have_qemu;
};

/* The reply was right? Then the time from the request to @phase. */
static int take(const struct fresh *f, enum phase phase, double *us, struct thaw_err *err)
{
	const struct start_result *r = f->result;

	if (r->ret < 0) {
		*err = r->err;
		return r->ret;
	}
	if (r->reply_len != sizeof(event) || memcmp(r->reply, event, sizeof(event)) != 0)
		return err_set(cmd_err(err), EIO, "a fresh machine answered wrongly");
	*us = (double)(r->phases.at[phase] - r->phases.at[PHASE_REQUEST]) / 1e3;
	return 0;
}

static void request(struct fresh *f)
{
	f->result->phases = (struct phases){ 0 };
	phase_mark(&f->result->phases, PHASE_REQUEST);
}

static int fresh_sample(void *arg, double *us, struct thaw_err *err)
{
	struct fresh *f = arg;

	request(f);
	start_here(&f->plan, true, f->result);
	return take(f, PHASE_TORN_DOWN, us, err);
}

static int forked_sample(void *arg, double *us, struct thaw_err *err)
{
	struct fresh *f = arg;

	request(f);
	start_in_child(&f->plan, true, f->result);
	return take(f, PHASE_FIRST_RESPONSE, us, err);
}

/* To the first instruction, with all ioctls on record. */
static int recorded_sample(void *arg, double *us, struct thaw_err *err)
{
	struct fresh *f = arg;
	nsec_t first;
	int ret;

	calls_record(&f->calls);
	request(f);
	start_here(&f->plan, true, f->result);
	calls_record(NULL);
	first = f->result->phases.at[PHASE_FIRST_INSTRUCTION];
	ret = take(f, PHASE_FIRST_INSTRUCTION, us, err);
	if (ret == 0 && (first == 0 || f->calls.n > CALLS_MAX))
		return err_set(cmd_err(err), EIO, "no first instruction, or %u ioctls",
			       f->calls.n);
	if (ret == 0)
		ret = series_add(f->ioctls, (double)calls_sum(&f->calls, first) / 1e3);
	return ret;
}

/* The whole program, from posix_spawn to its end: image checked, template made, one start. */
static int exec_sample(void *arg, double *us, struct thaw_err *err)
{
	struct fresh *f = arg;
	const char *const argv[] = { "thaw", "run", "--payload", "ping", f->echo.dir, NULL };
	nsec_t from = clock_monotonic();
	int ret = bench_thaw(f->b, argv, cmd_err(err));

	*us = (double)(clock_monotonic() - from) / 1e3;
	return ret;
}

static void fresh_findings(struct bench *b, const struct variant *v, const struct fresh *f)
{
	const struct series *fresh = v[0].to, *usual = v[1].to, *first = v[2].to;
	const struct series *forked = v[3].to, *exec = v[4].to;

	goals_ratio(&b->goals, GOAL_FRESH_USUAL, fresh, 50, usual, 50);
	goals_beside(&b->goals, GOAL_FRESH_USUAL, "p50 %.0f us and %.0f us",
		     series_stats(fresh).p50, series_stats(usual).p50);
	goals_ratio(&b->goals, GOAL_FRESH_IOCTLS, first, 50, f->ioctls, 50);
	goals_beside(&b->goals, GOAL_FRESH_IOCTLS,
		     "p50 %.0f us of which ioctls %.0f us; a "
		     "forked process to response: %.0f us",
		     series_stats(first).p50, series_stats(f->ioctls).p50,
		     series_stats(forked).p50);
	goals_beside(
		&b->goals, GOAL_QEMU,
		"forked p50 %.2f ms; the whole program thaw run, nothing prepared: %.2f ms",
		series_stats(forked).p50 / 1e3, series_stats(exec).p50 / 1e3);
	if (!f->have_qemu)
		return;
	goals_ratio(&b->goals, GOAL_QEMU, forked, 50, v[5].to, 50);
	goals_beside(&b->goals, GOAL_QEMU, "QEMU p50 %.1f ms", series_stats(v[5].to).p50 / 1e3);
}

static int fresh_interleave(struct bench *b, struct fresh *f, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	struct chart *chart = report_chart(&b->report, CHART_CDF,
					   "Machines from nothing but a template, and peers");
	const struct variant v[] = {
		{ fresh_sample, f, series_new(l, "fresh_us", "fresh, with teardown"), 0 },
		{ usual_sample, &f->usual,
		  series_new(l, "usual_order_us", "usual order, with teardown"), 4 },
		{ recorded_sample, f,
		  series_new(l, "first_instruction_us", "fresh, to first instruction"), 0 },
		{ forked_sample, f,
		  series_new(l, "forked_us", "fresh in a forked process, to response"), 0 },
		{ exec_sample, f, series_new(l, "thaw_run_us", "thaw run, whole program"),
		  EXEC_EVERY },
		{ qemu_sample, &f->qemu,
		  series_new(l, "qemu_us", "QEMU microvm -incoming, to running"), QEMU_EVERY },
	};
	size_t n = ARRAY_SIZE(v) - (f->have_qemu ? 0 : 1);
	int ret;

	f->ioctls = series_new(l, "ioctls_us", "sum of the ioctls to first instruction");
	chart->x_label = "microseconds, logarithmic";
	chart->y_label = "% of samples";
	for (size_t i = 0; i < n; i++)
		chart->series[chart->nseries++] = v[i].to;
	ret = series_interleave(
		v, n, (struct rounds){ bench_rounds(b, ROUNDS), 0, b->quick ? 6 : 90 }, err);
	if (ret == 0)
		fresh_findings(b, v, f);
	return ret;
}

static int fresh_open(struct bench *b, struct fresh *f, struct thaw_err *err)
{
	struct thaw_err why = { 0 };
	int ret = subject_open(&f->echo, b, "echo", false, "map", err);

	if (ret < 0)
		return ret;
	f->b = b;
	f->plan = (struct start_plan){ .template = f->echo.template,
				       .event = event,
				       .event_len = sizeof(event) };
	f->result = mmap(NULL, sizeof(*f->result), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->result == MAP_FAILED) {
		f->result = NULL;
		return err_sys(cmd_err(err), "map a result");
	}
	ret = usual_open(&f->usual, &b->kvm, f->echo.dir, err);
	if (ret < 0)
		return ret;
	f->usual.event = event;
	f->usual.event_len = sizeof(event);
	f->usual.echoes = true;
	f->have_qemu = qemu_open(&f->qemu, b->scratch, &why) == 0;
	if (!f->have_qemu)
		goals_missing(&b->goals, GOAL_QEMU, "%s", why.text);
	return 0;
}

/* The stamps of each tier of this libthaw, side by side. */
static int tier_stamps(struct bench *b, const struct fresh *f, struct thaw_err *err)
{
	struct stamps_plan plan = { .host = b->host,
				    .image = f->echo.image,
				    .event = event,
				    .event_len = sizeof(event),
				    .rounds = bench_rounds(b, 300) };

	return stamps_measure(&b->report, &plan, err);
}

int bench_fresh(struct bench *b, struct thaw_err *err)
{
	static struct fresh f;
	int ret = fresh_open(b, &f, err);

	if (ret == 0)
		ret = fresh_interleave(b, &f, err);
	if (ret == 0)
		ret = tier_stamps(b, &f, err);
	if (ret < 0) {
		goals_missing(&b->goals, GOAL_FRESH_USUAL, "%s", err->text);
		goals_missing(&b->goals, GOAL_FRESH_IOCTLS, "%s", err->text);
	}
	usual_close(&f.usual);
	subject_close(&f.echo);
	if (f.result)
		munmap(f.result, sizeof(*f.result));
	return ret;
}
