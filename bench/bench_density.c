/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_density.c - clones that have answered and stay: how fast a thousand of them answer, what
 * each costs, how long one takes that is asked again, and how many fit in half of the memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/dirtied.h"
#include "bench/park.h"
#include "engine/util.h"
#include "tools/measure/memory.h"
#include "tools/thaw/cmd.h"

#define CLONES	     1000u
#define FAN_OUTS     5u /* repetitions of the thousand */
#define WAKES	     2000u
#define SAMPLED	     32u    /* clones whose mappings are looked at */
#define CLONES_LIMIT 20000u /* ours: bounds the time of `make density` */
#define SPARE_FDS    128u   /* ours: for all but slots */

struct density {
	struct subject echo;
	struct park park;
	double bytes_each; /* what a parked clone costs; 0: not measured */
};

/* Means over clones, bytes. */
struct cost {
	double uss, pss;				 /* of the process */
	double ram_uss;					 /* of guest RAM: private */
	struct dirtied dirtied;				 /* by one start */
	double total;					 /* of memory.h's used */
	double available;				 /* MemAvailable that is gone */
	double slab, page_tables, kernel_stack, vmalloc; /* of the kernel's part */
};

static int density_open(struct density *d, const struct bench *b, struct thaw_err *err)
{
	memset(d, 0, sizeof(*d));
	return subject_open(&d->echo, b, "echo", false, "map", err);
}

static void density_close(struct density *d)
{
	park_close(&d->park);
	subject_close(&d->echo);
}

/* ---- fan-out: @n waiting shells, a different event for each ---- */

static int fan_out(const struct bench *b, struct density *d, unsigned int n, double *ms,
		   struct thaw_err *err)
{
	nsec_t wall = 0;
	int ret;

	park_close(&d->park);
	ret = park_open(&d->park, b->zygote, d->echo.template, n, err);
	if (ret == 0)
		ret = park_ask(&d->park, 0, n, 1, &wall, err);
	*ms = (double)wall / 1e6;
	return ret;
}

static int measure_scaling(struct bench *b, struct density *d, struct thaw_err *err)
{
	static const unsigned int sizes[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000 };
	struct series_list *l = &b->report.series;
	struct chart *chart =
		report_chart(&b->report, CHART_LINES,
			     "Clones alive at once, each with an answer of its own");
	struct series *x = series_new(l, "scaling_clones", "clones");
	struct series *wall = series_new(l, "scaling_wall_ms", "first request to last reply");
	struct series *each = series_new(l, "scaling_each_ms", "the same, per clone");
	double ms = 0;
	int ret = 0;

	chart->x = x;
	chart->x_label = "clones";
	chart->y_label = "milliseconds";
	chart->series[chart->nseries++] = wall;
	chart->series[chart->nseries++] = each;
	for (size_t i = 0; i < ARRAY_SIZE(sizes) && ret == 0; i++) {
		ret = fan_out(b, d, sizes[i], &ms, err);
		if (ret == 0 && (series_add(x, sizes[i]) < 0 || series_add(wall, ms) < 0 ||
				 series_add(each, ms / sizes[i]) < 0))
			ret = err_set(cmd_err(err), ENOMEM, "no memory for samples");
	}
	return ret;
}

static int measure_fan_out(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct series *s = series_new(&b->report.series, "fan_out_ms",
				      "1000 clones, first request to last reply");
	double ms = 0;
	int ret = 0;

	for (unsigned int i = 0; i < (b->quick ? 1 : FAN_OUTS) && ret == 0; i++) {
		ret = fan_out(b, d, CLONES, &ms, err);
		if (ret == 0)
			ret = series_add(s, ms);
	}
	if (ret == 0)
		goals_value(&b->goals, GOAL_FAN_OUT, 0, series_stats(s).p50);
	return ret;
}

/* ---- what a parked clone costs ---- */

static double per_clone(uint64_t before, uint64_t after, unsigned int n)
{
	return ((double)after - (double)before) / n;
}

/* A shell shows its memory to who may trace it: to root, or with CAP_SYS_PTRACE. */
static int sum_processes(const struct park *p, struct cost *c, struct thaw_err *err)
{
	int ret = 0;

	for (unsigned int i = 0; i < p->n && ret == 0; i++) {
		struct memory_use use;

		ret = memory_of(park_pid(p, i), &use);
		c->uss += (double)use.uss / p->n;
		c->pss += (double)use.pss / p->n;
	}
	for (unsigned int i = 0; i < SAMPLED && ret == 0; i++) {
		uint64_t bytes;

		ret = memory_private(park_pid(p, i * p->n / SAMPLED), "memfd:thaw-template",
				     &bytes);
		c->ram_uss += (double)bytes / SAMPLED;
	}
	return ret < 0 ? err_set(cmd_err(err), -ret, "look at the memory of a shell: %s",
				 strerrordesc_np(-ret))
		       : 0;
}

/* @n clones made, asked, and looked at while they are parked. */
static int measure_cost(const struct bench *b, struct density *d, unsigned int n,
			struct cost *c, struct thaw_err *err)
{
	struct memory_host before, after;
	double ms;
	int ret;

	*c = (struct cost){ 0 };
	park_close(&d->park);
	memory_of_host(&before);
	ret = fan_out(b, d, n, &ms, err);
	if (ret < 0)
		return ret;
	memory_of_host(&after);
	c->total = per_clone(before.used, after.used, n);
	c->available = per_clone(after.available, before.available, n);
	c->slab = per_clone(before.slab, after.slab, n);
	c->page_tables = per_clone(before.page_tables, after.page_tables, n);
	c->kernel_stack = per_clone(before.kernel_stack, after.kernel_stack, n);
	c->vmalloc = per_clone(before.vmalloc, after.vmalloc, n);
	ret = dirtied_measure(&c->dirtied, &b->kvm, d->echo.dir, "event 1 of clone 1", err);
	return ret < 0 ? ret : sum_processes(&d->park, c, err);
}

static void chart_cost(struct bench *b, const struct cost *c, const char *name)
{
	static const char *const segments[] = { "guest RAM, private", "VMM, private",
						"kernel: page tables", "kernel: slab",
						"other: vCPU, mailbox, stacks" };
	struct chart *chart = report_chart(&b->report, CHART_STACK, "Memory per clone");
	double *v = chart->values[0];

	chart->x_label =
		"KiB, after it has answered; all of it: what the kernel counts as used";
	chart->bars[chart->nbars++] = name;
	chart->nsegments = ARRAY_SIZE(segments);
	memcpy(chart->segments, segments, sizeof(segments));
	v[0] = c->ram_uss / 1024;
	v[1] = MAX(c->uss - c->ram_uss, 0.0) / 1024;
	v[2] = c->page_tables / 1024;
	v[3] = c->slab / 1024;
	v[4] = MAX(c->total / 1024 - v[0] - v[1] - v[2] - v[3], 0.0);
}

static void table_cost(struct bench *b, const struct cost *c, unsigned int n)
{
	const struct {
		const char *what;
		double bytes;
	} rows[] = {
		{ "USS (smaps_rollup)", c->uss },
		{ "PSS (smaps_rollup)", c->pss },
		{ "guest RAM: private", c->ram_uss },
		{ "guest RAM: dirtied (KVM's dirty log)", (double)c->dirtied.written },
		{ "guest RAM: differs from the template", (double)c->dirtied.changed },
		{ "all that the kernel counts as used", c->total },
		{ "of it not guest RAM: VMM and kernel", c->total - c->ram_uss },
		{ "kernel: slab", c->slab },
		{ "kernel: page tables", c->page_tables },
		{ "kernel: stacks", c->kernel_stack },
		{ "kernel: vmalloc, stacks included", c->vmalloc },
		{ "MemAvailable that is gone", c->available },
	};
	struct table *t = report_table(&b->report, "Memory per parked clone that has answered");
	unsigned int row;

	t->columns[0] = "what";
	t->columns[1] = "KiB per clone";
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		row = table_row(t);
		table_cell(t, row, 0, "%s", rows[i].what);
		table_cell(t, row, 1, "%.1f", rows[i].bytes / 1024);
	}
	row = table_row(t);
	table_cell(t, row, 0, "clones");
	table_cell(t, row, 1, "%u", n);
}

/* ---- waking ---- */

static int measure_wakes(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct series *s = series_new(&b->report.series, "wake_us",
				      "a parked clone, asked again at random, to reply");
	unsigned int n = bench_rounds(b, WAKES), seed = 1;
	nsec_t wall;
	int ret = 0;

	for (unsigned int i = 0; i < n && ret == 0; i++) {
		unsigned int k = (unsigned int)rand_r(&seed) % d->park.n;

		ret = park_ask(&d->park, k, k + 1, i + 2, &wall, err);
		if (ret == 0)
			ret = series_add(s, (double)wall / 1e3);
	}
	return ret;
}

static int park_thousand(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct cost c;
	int ret = measure_cost(b, d, CLONES, &c, err);

	if (ret == -EACCES) {
		goals_missing(&b->goals, GOAL_MEMORY, "%s", err->text);
		return measure_wakes(b, d, err);
	}
	if (ret < 0)
		return ret;
	d->bytes_each = c.total;
	table_cost(b, &c, CLONES);
	chart_cost(b, &c, "tier map");
	goals_value(&b->goals, GOAL_MEMORY, 0, c.ram_uss / (double)c.dirtied.written);
	goals_value(&b->goals, GOAL_MEMORY, 1, (c.total - c.ram_uss) / 1024);
	goals_beside(&b->goals, GOAL_MEMORY,
		     "%u clones: USS %.0f KiB, PSS %.0f KiB, guest RAM "
		     "private %.0f KiB, all that the kernel counts %.0f KiB, MemAvailable "
		     "%.0f KiB each",
		     CLONES, c.uss / 1024, c.pss / 1024, c.ram_uss / 1024, c.total / 1024,
		     c.available / 1024);
	return measure_wakes(b, d, err);
}

static int density_part(struct bench *b, struct density *d, struct thaw_err *err)
{
	int ret = density_open(d, b, err);

	if (ret == 0)
		ret = park_thousand(b, d, err);
	if (ret == 0)
		ret = measure_fan_out(b, d, err);
	if (ret == 0)
		ret = measure_scaling(b, d, err);
	return ret;
}

int bench_density(struct bench *b, struct thaw_err *err)
{
	static struct density d;
	int ret = density_part(b, &d, err);

	if (ret < 0) {
		goals_missing(&b->goals, GOAL_MEMORY, "%s", err->text);
		goals_missing(&b->goals, GOAL_FAN_OUT, "%s", err->text);
	}
	density_close(&d);
	return ret;
}

/* ---- as many as fit ---- */

static double limit_of(__rlimit_resource_t resource)
{
	struct rlimit limit;

	return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY
		       ? (double)limit.rlim_cur
		       : (double)UINT32_MAX;
}

/* How many may be made: memory, the limits on processes and descriptors, and ours. */
static unsigned int clones_that_fit(const struct host_facts *host, double bytes_each)
{
	struct memory_host m;
	double n;

	memory_of_host(&m);
	n = MIN((double)host->memory / 2, (double)m.available * 0.8) / MAX(bytes_each, 1.0);
	n = MIN(n, limit_of(RLIMIT_NPROC) / 2);
	n = MIN(n, (limit_of(RLIMIT_NOFILE) - SPARE_FDS) / 2);
	return (unsigned int)MIN(n, (double)CLONES_LIMIT);
}

static int fill_half(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct memory_host before, after;
	struct table *t = report_table(&b->report, "Half of the memory full of clones");
	unsigned int n, row;
	nsec_t wall = 0;
	int ret;

	park_close(&d->park);
	memory_of_host(&before);
	n = clones_that_fit(&b->report.host, d->bytes_each);
	ret = park_open(&d->park, b->zygote, d->echo.template, n, err);
	if (ret == 0)
		ret = park_ask(&d->park, 0, n, 1, &wall, err);
	if (ret < 0)
		return ret;
	memory_of_host(&after);
	t->columns[0] = "what";
	t->columns[1] = "found";
	row = table_row(t);
	table_cell(t, row, 0, "clones alive, all with the right answer");
	table_cell(t, row, 1, "%u", n);
	row = table_row(t);
	table_cell(t, row, 0, "first request to last reply");
	table_cell(t, row, 1, "%.0f ms", (double)wall / 1e6);
	row = table_row(t);
	table_cell(t, row, 0, "all that the kernel counts as used, per clone");
	table_cell(t, row, 1, "%.1f KiB", per_clone(before.used, after.used, n) / 1024);
	row = table_row(t);
	table_cell(t, row, 0, "MemAvailable that is gone, per clone");
	table_cell(t, row, 1, "%.1f KiB",
		   per_clone(after.available, before.available, n) / 1024);
	t->note = "As many as are allowed, at what each of the thousand cost: in half of the "
		  "memory or four fifths of what is available, within the limits on processes "
		  "and descriptors; 20,000 at most.";
	return 0;
}

int bench_density_long(struct bench *b, struct thaw_err *err)
{
	static struct density d;
	int ret = density_open(&d, b, err);

	if (ret == 0)
		ret = park_thousand(b, &d, err);
	if (ret == 0)
		ret = measure_scaling(b, &d, err);
	if (ret == 0)
		ret = fill_half(b, &d, err);
	density_close(&d);
	return ret;
}
