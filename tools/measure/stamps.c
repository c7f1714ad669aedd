/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/stamps.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/samples.h"
#include "tools/thaw/start.h"

#define STAMPS_TIERS 7u /* ours; there are fewer */

/* The library has no others; a bar's segments. */
static const enum phase segments[] = { PHASE_SHELL,	     PHASE_MEMORY,
				       PHASE_STATE,	     PHASE_FIRST_INSTRUCTION,
				       PHASE_FIRST_RESPONSE, PHASE_TORN_DOWN };

static const char *const segment_names[] = {
	"virtual machine made", "memory attached", "state set",
	"to first instruction", "to response",	   "torn down"
};

struct tier_run {
	const char *name;
	struct thaw_template *template;
	struct start_plan plan;
	struct start_result *result;
	struct samples samples;
};

static int tier_sample(void *arg, double *us, struct thaw_err *err)
{
	struct tier_run *t = arg;
	struct start_result *r = t->result;

	r->phases = (struct phases){ 0 };
	phase_mark(&r->phases, PHASE_REQUEST);
	start_here(&t->plan, true, r);
	if (r->ret < 0) {
		*err = r->err;
		return r->ret;
	}
	samples_add(&t->samples, &r->phases);
	*us = (double)(r->phases.at[PHASE_FIRST_RESPONSE] - r->phases.at[PHASE_REQUEST]) / 1e3;
	return 0;
}

static int tier_open(struct tier_run *t, const char *name, const struct stamps_plan *plan,
		     struct start_result *result, struct thaw_err *err)
{
	int ret = thaw_template_open(&t->template, plan->host, plan->image, name, plan->rounds,
				     err);

	if (ret < 0)
		return ret;
	t->name = name;
	t->result = result;
	t->plan = (struct start_plan){ .template = t->template,
				       .event = plan->event,
				       .event_len = plan->event_len,
				       .timeout_ms = plan->timeout_ms };
	if (samples_init(&t->samples, plan->rounds) < 0)
		return err_set(cmd_err(err), ENOMEM, "no memory for %u stamps", plan->rounds);
	return 0;
}

/* A bar of the medians of the stamps. Medians of a sum are not sums of medians, so a segment is
 * the way from one cumulative median to the next. */
static void add_bar(struct chart *c, const struct tier_run *t)
{
	double last = 0;

	for (size_t i = 0; i < ARRAY_SIZE(segments); i++) {
		struct percentiles p = samples_percentiles(&t->samples, segments[i]);
		double at = (double)p.p50 / 1e3;

		if (p.n > 0 && at > last) {
			c->values[c->nbars][i] = at - last;
			last = at;
		}
	}
	c->bars[c->nbars++] = t->name;
}

static struct series *tier_series(struct report *r, const char *tier)
{
	char name[40], label[72];

	snprintf(name, sizeof(name), "tier_%.24s_us", tier);
	snprintf(label, sizeof(label), "tier %.24s, fresh, to response", tier);
	return series_new(&r->series, name, label);
}

static bool wanted(const struct stamps_plan *plan, const char *tier)
{
	return plan->tier ? strcmp(tier, plan->tier) == 0 : strcmp(tier, "auto") != 0;
}

/* Fill @runs. Returns how many, or -errno. */
static int open_tiers(struct tier_run *runs, const struct stamps_plan *plan,
		      struct start_result *result, struct thaw_err *err)
{
	int n = 0;

	for (const char *const *tier = thaw_tiers(); *tier; tier++) {
		int ret;

		if (!wanted(plan, *tier))
			continue;
		ret = tier_open(&runs[n], *tier, plan, result, err);
		if (ret == -EINVAL && !plan->tier)
			continue; /* not a tier for this image */
		if (ret < 0)
			return ret;
		n++;
		assert(n < (int)STAMPS_TIERS);
	}
	return n > 0 ? n : err_set(cmd_err(err), EINVAL, "no tier is called '%s'", plan->tier);
}

static int run_tiers(struct report *r, struct tier_run *runs, size_t n,
		     const struct stamps_plan *plan, struct thaw_err *err)
{
	struct variant v[STAMPS_TIERS];
	struct chart *chart;
	int ret;

	for (size_t i = 0; i < n; i++)
		v[i] = (struct variant){ .run = tier_sample,
					 .arg = &runs[i],
					 .to = tier_series(r, runs[i].name) };
	ret = series_interleave(v, n, (struct rounds){ plan->rounds, 0, plan->budget_s }, err);
	if (ret < 0)
		return ret;
	chart = report_chart(r, CHART_STACK, "Where the time of a fresh start goes, by tier");
	chart->x_label = "microseconds, medians";
	chart->nsegments = ARRAY_SIZE(segments);
	memcpy(chart->segments, segment_names, sizeof(segment_names));
	for (size_t i = 0; i < n; i++)
		add_bar(chart, &runs[i]);
	return 0;
}

int stamps_measure(struct report *r, const struct stamps_plan *plan, struct thaw_err *err)
{
	auto_free struct start_result *result = malloc(sizeof(*result));
	struct tier_run runs[STAMPS_TIERS] = { 0 };
	int ret;

	if (!result)
		return err_set(cmd_err(err), ENOMEM, "no memory for a result");
	ret = open_tiers(runs, plan, result, err);
	if (ret > 0)
		ret = run_tiers(r, runs, (size_t)ret, plan, err);
	for (size_t i = 0; i < STAMPS_TIERS; i++) {
		thaw_template_close(runs[i].template);
		samples_fini(&runs[i].samples);
	}
	return ret;
}
