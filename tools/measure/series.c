/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/series.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/clock.h"
#include "engine/util.h"

/* ours: intervals shall not change when a report is made again from the same samples */
#define BOOTSTRAP_SEED 11u

struct series *series_new(struct series_list *list, const char *name, const char *label)
{
	struct series *s;

	assert(list->n < SERIES_MAX);
	s = &list->all[list->n++];
	*s = (struct series){ 0 };
	snprintf(s->name, sizeof(s->name), "%s", name);
	snprintf(s->label, sizeof(s->label), "%s", label);
	return s;
}

void series_fini(struct series_list *list)
{
	for (unsigned int i = 0; i < list->n; i++)
		free(list->all[i].values);
	memset(list, 0, sizeof(*list)); /* too large to be copied from the stack */
}

int series_add(struct series *s, double value)
{
	if (s->n == s->cap) {
		size_t cap = s->cap > 0 ? s->cap * 2 : 1024;
		double *values = realloc(s->values, cap * sizeof(*values));

		if (!values)
			return -ENOMEM;
		s->values = values;
		s->cap = cap;
	}
	s->values[s->n++] = value;
	return 0;
}

struct stats series_stats(const struct series *s)
{
	return stats_of(s->values, s->n);
}

/* A sorted copy; NULL: no memory, or nothing in it. */
static double *sorted_copy(const struct series *s)
{
	double *copy = s->n > 0 ? malloc(s->n * sizeof(*copy)) : NULL;

	if (copy) {
		memcpy(copy, s->values, s->n * sizeof(*copy));
		stats_sort(copy, s->n);
	}
	return copy;
}

int series_ratio(struct ratio *r, const struct series *over, unsigned int over_percent,
		 const struct series *under, unsigned int under_percent)
{
	auto_free double *up = sorted_copy(over);
	auto_free double *down = sorted_copy(under);

	if (over->n == 0 || under->n == 0)
		return -EDOM;
	if (!up || !down)
		return -ENOMEM;
	return stats_ratio(r, (struct quantile){ up, over->n, over_percent },
			   (struct quantile){ down, under->n, under_percent }, BOOTSTRAP_SEED);
}

static int take_sample(const struct variant *v, bool keep, struct thaw_err *err)
{
	double value = 0;
	int ret = v->run(v->arg, &value, err);

	if (ret == 0 && keep)
		ret = series_add(v->to, value);
	if (ret == -ENOMEM)
		snprintf(err->text, sizeof(err->text), "no memory for another sample of %s",
			 v->to->name);
	return ret;
}

int series_interleave(const struct variant *variants, size_t n, struct rounds rounds,
		      struct thaw_err *err)
{
	nsec_t end = clock_monotonic() + rounds.budget_s * NSEC_PER_SEC;
	unsigned int total = rounds.count + rounds.warmup;
	int ret = 0;

	for (unsigned int round = 0; round < total && ret == 0; round++) {
		bool keep = round >= rounds.warmup;

		for (size_t i = 0; i < n && ret == 0; i++) {
			const struct variant *v = &variants[i];

			if (v->every <= 1 || round % v->every == 0)
				ret = take_sample(v, keep, err);
		}
		if (keep && rounds.budget_s > 0 && clock_monotonic() >= end)
			break;
	}
	return ret;
}
