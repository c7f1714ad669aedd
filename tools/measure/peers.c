/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/peers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/util.h"
#include "tools/measure/bare.h"
#include "tools/measure/cache.h"
#include "tools/measure/count.h"
#include "tools/measure/slot.h"
#include "tools/measure/usual.h"
#include "tools/measure/way.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/start.h"

#define COLD_PART 10u /* of the rounds: each start waits for the disk */

struct peers {
	struct report *r;
	struct goals *g;
	const struct peers_plan *plan;
	struct table *table;
	struct kvm kvm; /* for what is made of the engine's parts */
};

/* ---- the table ---- */

static unsigned int peers_row(struct peers *p, const char *ours, const char *peer)
{
	unsigned int row = table_row(p->table);

	table_cell(p->table, row, 0, "%s", ours);
	table_cell(p->table, row, 1, "%s", peer);
	return row;
}

static void peers_found(struct peers *p, const struct variant *v)
{
	unsigned int row = peers_row(p, v[0].to->label, v[1].to->label);
	struct ratio ratio;

	if (series_ratio(&ratio, v[0].to, 50, v[1].to, 50) < 0)
		return;
	table_cell(p->table, row, 2, "%.3g [%.3g, %.3g]", ratio.value, ratio.low, ratio.high);
	table_cell(p->table, row, 3, "%.1f", series_stats(v[0].to).p50);
	table_cell(p->table, row, 4, "%.1f", series_stats(v[1].to).p50);
}

static void peers_not_measured(struct peers *p, const char *ours, const char *peer,
			       const char *why)
{
	table_cell(p->table, peers_row(p, ours, peer), 2, "not measured: %s", why);
}

/* Ours is the first of two variants. */
static int peers_compare(struct peers *p, const struct variant *v, unsigned int part,
			 struct thaw_err *err)
{
	struct rounds rounds = { MAX(p->plan->rounds / part, 1u), 1, p->plan->budget_s };
	int ret = series_interleave(v, 2, rounds, err);

	if (ret == 0)
		peers_found(p, v);
	return ret;
}

/* ---- a warm slot ---- */

/* The counted process has a slot of its own: a VM belongs to the process that made it. */
struct counted_slot {
	const struct thaw_template *template;
	struct slot slot;
};

static int counted_prepare(void *arg, struct thaw_err *err)
{
	struct counted_slot *c = arg;
	double us;
	int ret = slot_open(&c->slot, c->template, err);

	for (int i = 0; i < 10 && ret == 0; i++)
		ret = slot_sample(&c->slot, &us, err);
	return ret;
}

static int counted_run(void *arg, struct thaw_err *err)
{
	struct counted_slot *c = arg;
	double us;

	return slot_invoke(&c->slot, &us, err);
}

static void count_calls(struct peers *p, const struct thaw_template *t, const struct slot *slot)
{
	struct counted_slot c = { .template = t, .slot = *slot };
	const struct counted what = { counted_prepare, counted_run, &c };
	struct thaw_err why = { 0 };
	struct counts counts;

	c.slot.clone = NULL;
	c.slot.rewind = NULL;
	if (count_run(&counts, &what, &why) < 0) {
		goals_missing(p->g, GOAL_COUNTS, "%s", why.text);
		return;
	}
	goals_value(p->g, GOAL_COUNTS, 0, counts.faults);
	goals_value(p->g, GOAL_COUNTS, 1, counts.calls);
}

static int against_bare(struct peers *p, struct slot *slot, struct bare *bare,
			struct thaw_err *err)
{
	struct series_list *l = &p->r->series;
	const struct variant v[] = {
		{ slot_sample, slot, series_new(l, "warm_us", "warm slot, to response"), 0 },
		{ bare_sample, bare, series_new(l, "bare_us", "bare KVM_RUN round trip"), 0 },
	};
	int ret;

	slot->rewind = series_new(l, "rewind_us", "rewind of the slot, at release");
	ret = peers_compare(p, v, 1, err);
	if (ret < 0)
		return ret;
	goals_ratio(p->g, GOAL_WARM_BARE, v[0].to, 50, v[1].to, 50);
	goals_ratio(p->g, GOAL_JITTER, v[0].to, 99, v[0].to, 50);
	return 0;
}

static int measure_warm(struct peers *p, struct thaw_err *err)
{
	static struct bare bare; /* large */
	struct slot slot = { .event = p->plan->event,
			     .event_len = p->plan->event_len,
			     .timeout_ms = p->plan->timeout_ms };
	struct thaw_template *t;
	int ret = thaw_template_open(&t, p->plan->host, p->plan->image, "warm", p->plan->rounds,
				     err);

	if (ret < 0)
		return ret;
	ret = slot_open(&slot, t, err);
	if (ret == 0)
		ret = bare_open(&bare, &p->kvm, err);
	if (ret == 0)
		ret = against_bare(p, &slot, &bare, err);
	if (ret == 0)
		count_calls(p, t, &slot);
	bare_close(&bare);
	slot_close(&slot);
	thaw_template_close(t);
	return ret;
}

/* ---- a machine from nothing but the template ---- */

struct fresh {
	struct start_plan plan;
	struct start_result *result;
};

static int fresh_sample(void *arg, double *us, struct thaw_err *err)
{
	struct fresh *f = arg;
	struct start_result *r = f->result;

	r->phases = (struct phases){ 0 };
	phase_mark(&r->phases, PHASE_REQUEST);
	start_here(&f->plan, true, r);
	if (r->ret < 0) {
		*err = r->err;
		return r->ret;
	}
	*us = (double)(r->phases.at[PHASE_TORN_DOWN] - r->phases.at[PHASE_REQUEST]) / 1e3;
	return 0;
}

static int against_usual(struct peers *p, struct fresh *fresh, struct thaw_err *err)
{
	static struct usual usual; /* large */
	struct series_list *l = &p->r->series;
	struct variant v[] = {
		{ fresh_sample, fresh,
		  series_new(l, "fresh_us", "fresh VM, tier map, with teardown"), 0 },
		{ usual_sample, &usual,
		  series_new(l, "usual_order_us", "the same, made in the usual order"), 0 },
	};
	int ret = usual_open(&usual, &p->kvm, p->plan->dir, err);

	usual.event = p->plan->event;
	usual.event_len = p->plan->event_len;
	usual.timeout_ms = p->plan->timeout_ms;
	if (ret == 0)
		ret = peers_compare(p, v, 1, err);
	if (ret == 0)
		goals_ratio(p->g, GOAL_FRESH_USUAL, v[0].to, 50, v[1].to, 50);
	usual_close(&usual);
	return ret;
}

static int measure_fresh(struct peers *p, struct thaw_err *err)
{
	struct fresh fresh = { .result = malloc(sizeof(*fresh.result)) };
	struct thaw_template *t = NULL;
	int ret;

	if (!fresh.result)
		return err_set(cmd_err(err), ENOMEM, "no memory for a result");
	ret = thaw_template_open(&t, p->plan->host, p->plan->image, "map", p->plan->rounds,
				 err);
	fresh.plan = (struct start_plan){ .template = t,
					  .event = p->plan->event,
					  .event_len = p->plan->event_len,
					  .timeout_ms = p->plan->timeout_ms };
	if (ret == 0)
		ret = against_usual(p, &fresh, err);
	thaw_template_close(t);
	free(fresh.result);
	return ret;
}

/* ---- memory that is not there yet ---- */

static const char ready_text[] = "tier ready from LZ4, shell waiting, to response";
static const char lazy_text[] = "lazy MAP_PRIVATE of memory.raw, cached";
static const char ready_cold_text[] = "tier ready from LZ4, cold disk, to response";
static const char lazy_cold_text[] = "mmap and touch of memory.raw, cold disk";

static int way_open(struct way *w, const struct peers_plan *plan, const char *tier,
		    struct thaw_template **t, struct thaw_err *err)
{
	int ret = thaw_template_open(t, plan->host, plan->image, tier, plan->rounds, err);

	*w = (struct way){ .template = *t,
			   .event = plan->event,
			   .event_len = plan->event_len,
			   .timeout_ms = plan->timeout_ms,
			   .replies_differ = true };
	snprintf(w->file, sizeof(w->file), "%s/%s", plan->dir,
		 strcmp(tier, "raw") == 0 ? "memory.raw" : "memory.lz4");
	return ret;
}

static int against_lazy(struct peers *p, struct way *ready, struct way *lazy,
			struct thaw_err *err)
{
	struct series_list *l = &p->r->series;
	struct variant v[] = {
		{ way_sample, ready, series_new(l, "ready_cached_us", ready_text), 0 },
		{ way_sample, lazy, series_new(l, "lazy_cached_us", lazy_text), 0 },
	};
	struct thaw_err why = { 0 };
	int ret = peers_compare(p, v, 1, err);

	if (ret < 0)
		return ret;
	if (cache_drop(ready->file, &why) < 0 || cache_drop(lazy->file, &why) < 0) {
		peers_not_measured(p, ready_cold_text, lazy_cold_text, why.text);
		return 0;
	}
	ready->cold = lazy->cold = true;
	v[0].to = series_new(l, "ready_cold_us", ready_cold_text);
	v[1].to = series_new(l, "lazy_cold_us", lazy_cold_text);
	return peers_compare(p, v, COLD_PART, err);
}

static int measure_memory(struct peers *p, struct thaw_err *err)
{
	struct thaw_template *ready_t = NULL, *lazy_t = NULL;
	static struct way ready, lazy; /* large */
	char raw[256];
	int ret;

	snprintf(raw, sizeof(raw), "%s/memory.raw", p->plan->dir);
	if (access(raw, F_OK) < 0) {
		peers_not_measured(p, ready_text, lazy_text,
				   "the image has no memory.raw (thaw build --raw)");
		return 0;
	}
	ret = way_open(&ready, p->plan, "ready", &ready_t, err);
	if (ret == 0)
		ret = way_open(&lazy, p->plan, "raw", &lazy_t, err);
	if (ret == 0)
		ret = against_lazy(p, &ready, &lazy, err);
	thaw_template_close(ready_t);
	thaw_template_close(lazy_t);
	return ret;
}

/* ---- all of it ---- */

/* By the tier of ours. */
static const struct peers_part {
	const char *tier;
	int (*measure)(struct peers *p, struct thaw_err *err);
} parts[] = {
	{ "warm", measure_warm },
	{ "map", measure_fresh },
	{ "ready", measure_memory },
};

static void say_what_is_missing(struct goals *g)
{
	for (unsigned int i = 1; i <= GOALS; i++)
		goals_missing(g, (enum goal)i,
			      "make bench measures it, with images of its own");
	goals_missing(g, GOAL_WARM_SPAWN,
		      "no static program that does the same is at hand; make bench has one");
}

static struct table *peers_table(struct report *r)
{
	static const char *const columns[] = { "this", "over this", "ratio", "this, p50 us",
					       "that, p50 us" };
	struct table *t = report_table(r, "Peers");

	memcpy(t->columns, columns, sizeof(columns));
	t->note = "Ratios are of medians, with 95 % bootstrap intervals, both sides taken in "
		  "turn.";
	return t;
}

int peers_measure(struct report *r, struct goals *g, const struct peers_plan *plan,
		  struct thaw_err *err)
{
	static struct peers p; /* large */
	int ret = kvm_open(&p.kvm, cmd_err(err));

	if (ret < 0)
		return ret;
	p.r = r;
	p.g = g;
	p.plan = plan;
	say_what_is_missing(g);
	for (size_t i = 0; i < ARRAY_SIZE(parts) && ret == 0; i++) {
		if (plan->tier && strcmp(plan->tier, parts[i].tier) != 0)
			continue;
		p.table = p.table ? p.table : peers_table(r);
		ret = parts[i].measure(&p, err);
	}
	kvm_close(&p.kvm);
	return ret;
}
