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
#include "bench/origin.h"
#include "bench/park.h"
#include "engine/util.h"
#include "tools/measure/memory.h"
#include "tools/thaw/cmd.h"

#define CLONES	     1000u
#define FAN_OUTS     5u /* repetitions of the thousand */
#define WAKES	     2000u
#define SAMPLED	     32u	/* clones that look at their own memory */
#define PER_CLONE    (1u << 20) /* bytes that one may cost, for the account of what fits */
#define CLONES_LIMIT 20000u	/* ours: bounds the time of `make density` */

struct density {
	struct origin echo;
	struct park park;
};

/* Means over clones, bytes. */
struct cost {
	double uss, pss;	     /* of the process */
	double ram_uss, ram_changed; /* of guest RAM: private; different from the template */
	double ram_dirtied;	     /* in pages that a start writes to */
	double total;		     /* MemAvailable that is gone */
	double slab, page_tables, kernel_stack, vmalloc; /* of the kernel's part */
};

static int density_open(struct density *d, const struct bench *b, struct thaw_err *err)
{
	char dir[128];
	int ret;

	memset(d, 0, sizeof(*d));
	ret = subject_build(b, "echo", false, dir, err);
	return ret < 0 ? ret : origin_open(&d->echo, dir, &b->kvm, cmd_err(err));
}

static void density_close(struct density *d)
{
	park_close(&d->park);
	origin_close(&d->echo);
}

/* ---- fan-out: @n waiting shells, a different event for each ---- */

static int fan_out(struct bench *b, struct density *d, unsigned int n, double *ms,
		   struct thaw_err *err)
{
	nsec_t wall = 0;
	int ret;

	park_close(&d->park);
	ret = park_open(&d->park, &b->kvm, &d->echo.template, n, cmd_err(err));
	if (ret == 0)
		ret = park_grow(&d->park, n, cmd_err(err));
	if (ret == 0)
		ret = park_ask(&d->park, 0, n, 1, &wall, cmd_err(err));
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

static int sum_processes(struct density *d, struct cost *c, struct thaw_err *err)
{
	struct park *p = &d->park;
	uint64_t dirtied = 0;
	int ret = 0;

	for (unsigned int i = 0; i < p->n && ret == 0; i++) {
		struct memory_use use;

		ret = memory_of(p->pids[i], &use);
		c->uss += (double)use.uss / p->n;
		c->pss += (double)use.pss / p->n;
	}
	if (ret < 0)
		return err_set(cmd_err(err), -ret, "read smaps_rollup of a clone");
	for (unsigned int i = 0; i < SAMPLED && ret == 0; i++) {
		unsigned int k = i * p->n / SAMPLED;

		ret = park_measure(p, k, cmd_err(err));
		c->ram_uss += (double)p->slots[k].ram_uss / SAMPLED;
		c->ram_changed += (double)p->slots[k].ram_changed / SAMPLED;
	}
	if (ret == 0)
		ret = park_dirtied(p->kvm, p->template, &dirtied, cmd_err(err));
	c->ram_dirtied = (double)dirtied;
	return ret;
}

/* @n clones made, asked, and looked at while they are parked. */
static int measure_cost(struct bench *b, struct density *d, unsigned int n, struct cost *c,
			struct thaw_err *err)
{
	struct memory_host before, after;
	double ms;
	int ret;

	*c = (struct cost){ 0 };
	park_close(&d->park);
	usleep(300000); /* what went with the last ones is freed later */
	memory_of_host(&before);
	ret = fan_out(b, d, n, &ms, err);
	if (ret < 0)
		return ret;
	memory_of_host(&after);
	c->total = per_clone(after.available, before.available, n);
	c->slab = per_clone(before.slab, after.slab, n);
	c->page_tables = per_clone(before.page_tables, after.page_tables, n);
	c->kernel_stack = per_clone(before.kernel_stack, after.kernel_stack, n);
	c->vmalloc = per_clone(before.vmalloc, after.vmalloc, n);
	return sum_processes(d, c, err);
}

static void chart_cost(struct bench *b, const struct cost *c, const char *name)
{
	static const char *const segments[] = { "guest RAM, private", "VMM, private",
						"kernel: page tables", "kernel: slab",
						"other: vCPU, mailbox, stacks" };
	struct chart *chart = report_chart(&b->report, CHART_STACK, "Memory per clone");
	double *v = chart->values[0];

	chart->x_label = "KiB, after it has answered; all of it: MemAvailable that is gone";
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
		{ "guest RAM: dirtied (KVM's dirty log)", c->ram_dirtied },
		{ "guest RAM: differs from the template", c->ram_changed },
		{ "MemAvailable that is gone", c->total },
		{ "of it not guest RAM: VMM and kernel", c->total - c->ram_uss },
		{ "kernel: slab", c->slab },
		{ "kernel: page tables", c->page_tables },
		{ "kernel: stacks", c->kernel_stack },
		{ "kernel: vmalloc", c->vmalloc },
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

		ret = park_ask(&d->park, k, k + 1, i + 2, &wall, cmd_err(err));
		if (ret == 0)
			ret = series_add(s, (double)wall / 1e3);
	}
	return ret;
}

static int park_thousand(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct cost c;
	int ret = measure_cost(b, d, CLONES, &c, err);

	if (ret < 0)
		return ret;
	table_cost(b, &c, CLONES);
	chart_cost(b, &c, "tier map");
	if (c.ram_dirtied > 0)
		goals_value(&b->goals, GOAL_MEMORY, 0, c.ram_uss / c.ram_dirtied);
	goals_value(&b->goals, GOAL_MEMORY, 1, (c.total - c.ram_uss) / 1024);
	goals_beside(&b->goals, GOAL_MEMORY,
		     "%u clones: USS %.0f KiB, PSS %.0f KiB, guest RAM "
		     "private %.0f KiB, MemAvailable %.0f KiB each",
		     CLONES, c.uss / 1024, c.pss / 1024, c.ram_uss / 1024, c.total / 1024);
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

/* How many may be made: half of the memory, the limit on processes, and ours. */
static unsigned int clones_that_fit(const struct host_facts *host, double bytes_each)
{
	struct memory_host m;
	struct rlimit processes;
	double room, n;

	memory_of_host(&m);
	room = MIN((double)host->memory / 2, (double)m.available * 0.8);
	n = room / MAX(bytes_each, 1.0);
	if (getrlimit(RLIMIT_NPROC, &processes) == 0 && processes.rlim_cur != RLIM_INFINITY)
		n = MIN(n, (double)processes.rlim_cur / 2);
	return (unsigned int)MIN(n, (double)CLONES_LIMIT);
}

/* In steps, so that what stops it is an error of one step and not of the whole. */
static int fill_half(struct bench *b, struct density *d, struct thaw_err *err)
{
	struct memory_host before, after;
	struct table *t = report_table(&b->report, "Half of the memory full of clones");
	unsigned int n, row;
	nsec_t wall = 0;
	int ret;

	park_close(&d->park);
	usleep(500000);
	memory_of_host(&before);
	n = clones_that_fit(&b->report.host, PER_CLONE);
	ret = park_open(&d->park, &b->kvm, &d->echo.template, n, cmd_err(err));
	if (ret == 0)
		ret = park_grow(&d->park, n, cmd_err(err));
	if (ret == 0)
		ret = park_ask(&d->park, 0, n, 1, &wall, cmd_err(err));
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
	table_cell(t, row, 0, "MemAvailable that is gone, per clone");
	table_cell(t, row, 1, "%.1f KiB",
		   per_clone(after.available, before.available, n) / 1024);
	t->note = "As many as are allowed: one MiB is set aside for each, in half of the "
		  "memory or four fifths of what is available, within the limit on processes; "
		  "20,000 at most.";
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
