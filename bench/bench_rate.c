/* SPDX-License-Identifier: Apache-2.0 */
/* bench_rate.c - how many starts a second, with one thread and with two: slices of each kind in
 * turn. A start ends when the slot can be used again: rewound, or torn down. */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "bench/warm.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

#define THREADS_MAX 2u
#define SLICES	    10u

struct rate {
	const struct bench *b;
	struct subject echo;
	nsec_t slice_ns;
};

/* One thread's share of a slice. */
struct worker {
	const struct rate *rate;
	pthread_barrier_t *barrier;
	bool warm;
	uint64_t starts;
	nsec_t from, to;
	int ret;
	struct thaw_err err;
};

static int fresh_start(const struct rate *r, struct thaw_err *err)
{
	struct thaw_clone *clone;
	struct thaw_reply reply;
	int ret = thaw_clone_open(&clone, r->echo.template, NULL, NULL, err);

	if (ret == 0)
		ret = thaw_clone_invoke(clone, "ping", 4, 0, &reply, err);
	if (ret == 0 && (reply.len != 4 || memcmp(reply.data, "ping", 4) != 0))
		ret = err_set(cmd_err(err), EIO, "a machine answered wrongly");
	thaw_clone_close(clone);
	return ret;
}

static void work(struct worker *w, struct warm *slot)
{
	double us;

	w->from = clock_monotonic();
	do {
		w->ret = w->warm ? slot_sample(&slot->slot, &us, &w->err)
				 : fresh_start(w->rate, &w->err);
		w->starts++;
		w->to = clock_monotonic();
	} while (w->ret == 0 && w->to - w->from < w->rate->slice_ns);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct warm slot = { 0 };

	if (w->warm) /* a clone belongs to the thread that opened it */
		w->ret = warm_open(&slot, w->rate->b, "echo", "ping", "ping", &w->err);
	pthread_barrier_wait(w->barrier);
	if (w->ret == 0)
		work(w, &slot);
	if (w->warm)
		warm_close(&slot);
	return NULL;
}

/* Starts a second of all threads together. */
static int slice(const struct rate *r, bool warm, unsigned int nthreads, double *rate,
		 struct thaw_err *err)
{
	struct worker workers[THREADS_MAX];
	pthread_t threads[THREADS_MAX];
	pthread_barrier_t barrier;
	int ret = 0;

	*rate = 0;
	pthread_barrier_init(&barrier, NULL, nthreads);
	for (unsigned int i = 0; i < nthreads; i++) {
		workers[i] = (struct worker){ .rate = r, .barrier = &barrier, .warm = warm };
		if (pthread_create(&threads[i], NULL, worker_main, &workers[i]) != 0)
			return err_set(cmd_err(err), EAGAIN, "cannot make a thread");
	}
	for (unsigned int i = 0; i < nthreads; i++) {
		pthread_join(threads[i], NULL);
		if (workers[i].ret < 0) {
			*err = workers[i].err;
			ret = workers[i].ret;
		} else {
			*rate += (double)workers[i].starts * 1e9 /
				 (double)(workers[i].to - workers[i].from);
		}
	}
	pthread_barrier_destroy(&barrier);
	return ret;
}

static int fresh1(void *arg, double *rate, struct thaw_err *err)
{
	return slice(arg, false, 1, rate, err);
}

static int fresh2(void *arg, double *rate, struct thaw_err *err)
{
	return slice(arg, false, 2, rate, err);
}

static int warm1(void *arg, double *rate, struct thaw_err *err)
{
	return slice(arg, true, 1, rate, err);
}

static int warm2(void *arg, double *rate, struct thaw_err *err)
{
	return slice(arg, true, 2, rate, err);
}

static void rate_findings(struct bench *b, const struct variant *v)
{
	double f1 = series_stats(v[0].to).p50, f2 = series_stats(v[1].to).p50;
	double w1 = series_stats(v[2].to).p50, w2 = series_stats(v[3].to).p50;

	goals_beside(&b->goals, GOAL_RATE, "fresh %.0f/s with 1 thread, %.0f/s with 2 (%.2f x)",
		     f1, f2, f2 / f1);
	goals_beside(&b->goals, GOAL_RATE, "warm %.0f/s with 1 thread, %.0f/s with 2 (%.2f x)",
		     w1, w2, w2 / w1);
	goals_ratio(&b->goals, GOAL_RATE, v[3].to, 50, v[1].to, 50);
	bars_ratio(&b->bars, BAR_THREADS, v[3].to, v[2].to);
}

int bench_rate(struct bench *b, struct thaw_err *err)
{
	struct rate r = { .b = b, .slice_ns = (b->quick ? 100 : 500) * NSEC_PER_MSEC };
	struct series_list *l = &b->report.series;
	const struct variant v[] = {
		{ fresh1, &r, series_new(l, "fresh_1_thread_per_s", "fresh starts/s, 1 thread"),
		  0 },
		{ fresh2, &r,
		  series_new(l, "fresh_2_threads_per_s", "fresh starts/s, 2 threads"), 0 },
		{ warm1, &r, series_new(l, "warm_1_thread_per_s", "warm starts/s, 1 thread"),
		  0 },
		{ warm2, &r, series_new(l, "warm_2_threads_per_s", "warm starts/s, 2 threads"),
		  0 },
	};
	int ret = subject_open(&r.echo, b, "echo", false, "map", err);

	if (ret == 0)
		ret = series_interleave(v, ARRAY_SIZE(v),
					(struct rounds){ b->quick ? 3 : SLICES, 0, 0 }, err);
	if (ret == 0) {
		rate_findings(b, v);
	} else {
		goals_missing(&b->goals, GOAL_RATE, "%s", err->text);
		bars_beside(&b->bars, BAR_THREADS, "%s", err->text);
	}
	subject_close(&r.echo);
	return ret;
}
