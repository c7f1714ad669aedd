/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/look.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "tools/thaw/metrics.h"

const char *const look_times[LOOK_TIMES] = { "queue", "response", "rewind" };
const char *const look_machines[LOOK_MACHINES] = { "starting", "idle", "busy", "rewinding" };

enum kind { KIND_COUNT, KIND_TIME, KIND_MACHINES, KIND_QUEUED };

/* clang-format off */
static const struct known {
	const char *name;
	enum kind kind;
	unsigned int i;
} known[] = {
	{ "thawd_invocations_answered_total",  KIND_COUNT, LOOK_ANSWERED },
	{ "thawd_invocations_failed_total",    KIND_COUNT, LOOK_FAILED },
	{ "thawd_invocations_timed_out_total", KIND_COUNT, LOOK_TIMED_OUT },
	{ "thawd_invocations_refused_total",   KIND_COUNT, LOOK_REFUSED },
	{ "thawd_queue_seconds_bucket",        KIND_TIME, LOOK_QUEUE },
	{ "thawd_response_seconds_bucket",     KIND_TIME, LOOK_RESPONSE },
	{ "thawd_rewind_seconds_bucket",       KIND_TIME, LOOK_REWIND },
	{ "thawd_machines",                    KIND_MACHINES, 0 },
	{ "thawd_queued",                      KIND_QUEUED, 0 },
};
/* clang-format on */

/* ---- reading ---- */

static const struct known *find_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].name, name) == 0)
			return &known[i];
	}
	return NULL;
}

/* From @first on, because one after the other is asked for. */
static struct look_function *find(const struct look *l, size_t first, const char *name,
				  const char *version)
{
	for (size_t i = 0; i < l->n; i++) {
		struct look_function *f = &l->functions[(first + i) % l->n];

		if (strcmp(f->name, name) == 0 && strcmp(f->version, version) == 0)
			return f;
	}
	return NULL;
}

static struct look_function *find_or_add(struct look *l, size_t first, const struct metric *m)
{
	const char *name = metrics_label(m, "function"), *version = metrics_label(m, "version");
	struct look_function *f = find(l, first, name, version);
	size_t cap = MAX(2 * l->cap, (size_t)8);

	if (f)
		return f;
	if (l->n == l->cap) {
		f = reallocarray(l->functions, cap, sizeof(*f));
		if (!f)
			return NULL;
		l->functions = f;
		l->cap = cap;
	}
	f = &l->functions[l->n++];
	memset(f, 0, sizeof(*f));
	snprintf(f->name, sizeof(f->name), "%s", name);
	snprintf(f->version, sizeof(f->version), "%s", version);
	return f;
}

static void take_bucket(struct look_histogram *h, const struct metric *m)
{
	if (h->n == LOOK_BUCKETS)
		return;
	h->buckets[h->n].up_to_s = strtod(metrics_label(m, "le"), NULL);
	h->buckets[h->n].count = m->value;
	h->n++;
}

static void take_machines(struct look_function *f, const struct metric *m)
{
	for (size_t i = 0; i < LOOK_MACHINES; i++) {
		if (strcmp(metrics_label(m, "state"), look_machines[i]) == 0)
			f->machines[i] = m->value;
	}
}

static void take(struct look_function *f, const struct known *k, const struct metric *m)
{
	switch (k->kind) {
	case KIND_COUNT:
		f->counts[k->i] = m->value;
		break;
	case KIND_TIME:
		take_bucket(&f->times[k->i], m);
		break;
	case KIND_MACHINES:
		take_machines(f, m);
		break;
	case KIND_QUEUED:
		f->queued = m->value;
		break;
	}
}

int look_read(struct look *l, const char *text, struct err *err)
{
	size_t last = 0;
	struct metric m;
	int ret;

	l->n = 0;
	l->memory_bytes = 0;
	while ((ret = metrics_next(&m, &text, err)) > 0) {
		const struct known *k = find_known(m.name);
		struct look_function *f;

		if (strcmp(m.name, "thawd_memory_bytes") == 0)
			l->memory_bytes = m.value;
		if (!k)
			continue;
		f = find_or_add(l, last, &m);
		if (!f)
			return err_set(err, ENOMEM, "no memory for %zu functions", l->n);
		take(f, k, &m);
		last = (size_t)(f - l->functions);
	}
	return ret;
}

void look_fini(struct look *l)
{
	free(l->functions);
	l->functions = NULL;
	l->n = l->cap = 0;
}

/* ---- comparing ---- */

static double count_of(const struct look_histogram *h)
{
	return h && h->n > 0 ? h->buckets[h->n - 1].count : 0;
}

/* How many more there are up to the limit of bucket @i. */
static double gained(const struct look_histogram *before, const struct look_histogram *now,
		     size_t i)
{
	return now->buckets[i].count - (before ? before->buckets[i].count : 0);
}

double look_quantile(const struct look_histogram *before, const struct look_histogram *now,
		     double q)
{
	double total, wanted, from_s = 0, below = 0;

	/* Another program counts now. */
	if (before && (before->n != now->n || count_of(before) > count_of(now)))
		before = NULL;
	total = count_of(now) - count_of(before);
	wanted = q * total;
	for (size_t i = 0; i < now->n && total > 0; i++) {
		double up_to_s = now->buckets[i].up_to_s, n = gained(before, now, i);

		if (n >= wanted && n > below)
			return isinf(up_to_s) ? from_s
					      : from_s + (up_to_s - from_s) * (wanted - below) /
								 (n - below);
		from_s = up_to_s;
		below = n;
	}
	return (double)NAN;
}

static double sum(const struct look_function *f, enum look_count from)
{
	double n = 0;

	for (size_t i = from; i < LOOK_COUNTS; i++)
		n += f->counts[i];
	return n;
}

static void compare(struct look_change *c, const struct look_function *before, double seconds)
{
	const struct look_function *f = c->function;
	bool goes_on = before && sum(before, LOOK_ANSWERED) <= sum(f, LOOK_ANSWERED);

	c->invocations_per_s =
		(sum(f, LOOK_ANSWERED) - (goes_on ? sum(before, LOOK_ANSWERED) : 0)) / seconds;
	c->errors_per_s =
		(sum(f, LOOK_FAILED) - (goes_on ? sum(before, LOOK_FAILED) : 0)) / seconds;
	for (size_t i = 0; i < LOOK_TIMES; i++) {
		const struct look_histogram *h = before ? &before->times[i] : NULL;

		c->times[i].p50_s = look_quantile(h, &f->times[i], 0.5);
		c->times[i].p99_s = look_quantile(h, &f->times[i], 0.99);
	}
}

static int order(const void *a, const void *b)
{
	const struct look_change *x = a, *y = b;
	int by_name = strcmp(x->function->name, y->function->name);

	if (x->invocations_per_s != y->invocations_per_s)
		return x->invocations_per_s > y->invocations_per_s ? -1 : 1;
	return by_name != 0 ? by_name : strcmp(x->function->version, y->function->version);
}

void look_compare(struct look_change *out, const struct look *before, const struct look *now)
{
	double seconds = (double)(now->at - before->at) / (double)NSEC_PER_SEC;

	for (size_t i = 0; i < now->n; i++) {
		const struct look_function *f = &now->functions[i];

		out[i].function = f;
		compare(&out[i], find(before, i, f->name, f->version), MAX(seconds, 1e-3));
	}
	qsort(out, now->n, sizeof(*out), order);
}
