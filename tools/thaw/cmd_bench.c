/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_bench.c - `thaw bench`: how fast one image starts here, in every tier, and what a clone of
 * it costs in memory. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/util.h"
#include "tools/measure/memory.h"
#include "tools/measure/peers.h"
#include "tools/measure/report.h"
#include "tools/measure/stamps.h"
#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"

#define BENCH_STARTS	 300u
#define BENCH_MAX_STARTS 100000u /* ours: bounds the memory for samples */
#define BENCH_CLONES	 8u	 /* alive at once while their memory is looked at */
#define BENCH_BUDGET_S	 60u	 /* ours: a slow image ends after a minute with fewer starts */

enum { OPT_TIER = 256, OPT_PAYLOAD, OPT_PAYLOAD_FILE, OPT_TIMEOUT, OPT_OUT, OPT_JSON };

static const struct option options[] = {
	{ "tier", required_argument, NULL, OPT_TIER },
	{ "payload", required_argument, NULL, OPT_PAYLOAD },
	{ "payload-file", required_argument, NULL, OPT_PAYLOAD_FILE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "out", required_argument, NULL, OPT_OUT },
	{ "json", no_argument, NULL, OPT_JSON },
	{ 0 },
};

struct bench {
	const char *dir, *payload_file, *out;
	uint64_t timeout_ms;
	uint64_t starts;
	bool json;
	struct blob event;
	struct stamps_plan plan;
	struct thaw_host *host;
	struct thaw_image *image;
	struct report report;
	struct goals goals; /* without --tier */
};

static int take_option(struct bench *b, int opt, const char *value)
{
	switch (opt) {
	case 'n':
		return opt_number(&cmd_bench, "-n", value, BENCH_MAX_STARTS, &b->starts);
	case OPT_TIER:
		b->plan.tier = value;
		return 0;
	case OPT_PAYLOAD:
		return opt_payload(&b->event, value);
	case OPT_PAYLOAD_FILE:
		b->payload_file = value;
		return 0;
	case OPT_TIMEOUT:
		return opt_number(&cmd_bench, "--timeout", value, UINT32_MAX, &b->timeout_ms);
	case OPT_OUT:
		b->out = value;
		return 0;
	case OPT_JSON:
		b->json = true;
		return 0;
	default:
		return cmd_usage(&cmd_bench, "unknown option");
	}
}

static int check_arguments(struct bench *b, int argc, char **argv)
{
	if (argc != 1)
		return cmd_usage(&cmd_bench, "expected one image, got %d arguments", argc);
	if (b->starts == 0)
		return cmd_usage(&cmd_bench, "-n is 0, expected at least 1");
	if (b->payload_file && b->event.data)
		return cmd_usage(&cmd_bench, "more than one payload");
	b->dir = argv[0];
	return 0;
}

static int prepare(struct bench *b, struct thaw_err *err)
{
	int ret = 0;

	if (b->payload_file)
		ret = blob_read(&b->event, b->payload_file, THAW_EVENT_MAX, cmd_err(err));
	if (ret == 0)
		ret = thaw_image_open(&b->image, b->dir, err);
	if (ret == 0)
		ret = thaw_host_open(&b->host, err);
	if (ret < 0)
		return ret;
	b->plan.host = b->host;
	b->plan.image = b->image;
	b->plan.event = b->event.data;
	b->plan.event_len = b->event.size;
	b->plan.timeout_ms = (unsigned int)b->timeout_ms;
	b->plan.rounds = (unsigned int)b->starts;
	b->plan.budget_s = BENCH_BUDGET_S;
	return 0;
}

/* ---- beside its peers ---- */

static int measure_peers(struct bench *b, struct thaw_err *err)
{
	const struct peers_plan plan = { .dir = b->dir,
					 .host = b->host,
					 .image = b->image,
					 .tier = b->plan.tier,
					 .event = b->event.data,
					 .event_len = b->event.size,
					 .timeout_ms = b->plan.timeout_ms,
					 .rounds = b->plan.rounds,
					 .budget_s = BENCH_BUDGET_S };

	return peers_measure(&b->report, &b->goals, &plan, err);
}

/* A curve of every series that there is so far. */
static void chart_curves(struct bench *b)
{
	struct chart *c = report_chart(&b->report, CHART_CDF, "How long a start takes");

	c->x_label = "microseconds, logarithmic";
	c->y_label = "% of samples";
	for (unsigned int i = 0; i < MIN(b->report.series.n, CHART_SERIES); i++)
		c->series[c->nseries++] = &b->report.series.all[i];
}

/* ---- memory ---- */

/* Restore, answer, say so through @fd, stay. */
static _Noreturn void parked(const struct bench *b, const struct thaw_template *t, int fd)
{
	struct thaw_clone *clone;
	struct thaw_reply reply;
	struct thaw_err err = { 0 };
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = thaw_clone_open(&clone, t, NULL, NULL, &err);
	if (ret == 0)
		ret = thaw_clone_invoke(clone, b->event.data, b->event.size, b->plan.timeout_ms,
					&reply, &err);
	if (write(fd, &ret, sizeof(ret)) == sizeof(ret) && ret == 0) {
		close(fd); /* whoever reads sees the end when all have spoken or died */
		pause();
	}
	_exit(0);
}

/* @pids: BENCH_CLONES zeros; those that are not afterwards are to be ended. */
static int park(const struct bench *b, const struct thaw_template *t, pid_t *pids,
		struct err *err)
{
	int told[2], ret = 0, one;

	if (pipe(told) < 0)
		return err_sys(err, "make a pipe");
	for (unsigned int i = 0; i < BENCH_CLONES && ret == 0; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			parked(b, t, told[1]);
		if (pids[i] < 0)
			ret = err_sys(err, "fork");
	}
	close(told[1]);
	for (unsigned int i = 0; i < BENCH_CLONES && ret == 0; i++) {
		if (read(told[0], &one, sizeof(one)) != sizeof(one))
			ret = err_set(err, EIO, "a clone's process died");
		else if (one < 0)
			ret = err_set(err, -one, "a clone did not answer: %s",
				      strerrordesc_np(-one));
	}
	close(told[0]);
	return ret;
}

static void end(const pid_t *pids)
{
	for (unsigned int i = 0; i < BENCH_CLONES; i++) {
		if (pids[i] > 0) {
			kill(pids[i], SIGKILL);
			waitpid(pids[i], NULL, 0);
		}
	}
}

static void add_memory(struct bench *b, const char *tier, double uss, double pss)
{
	struct table *t = report_table(&b->report, "Memory of a process with one clone that "
						   "has answered");
	struct chart *c = report_chart(&b->report, CHART_STACK, "Memory per clone");
	unsigned int row = table_row(t);

	t->columns[0] = "tier";
	t->columns[1] = "USS, KiB";
	t->columns[2] = "PSS, KiB";
	t->columns[3] = "clones alive";
	table_cell(t, row, 0, "%s", tier);
	table_cell(t, row, 1, "%.1f", uss / 1024);
	table_cell(t, row, 2, "%.1f", pss / 1024);
	table_cell(t, row, 3, "%u", BENCH_CLONES);
	c->x_label = "KiB, without what the kernel keeps";
	c->segments[0] = "its own (USS)";
	c->segments[1] = "its share of the rest (PSS - USS)";
	c->nsegments = 2;
	c->bars[0] = tier;
	c->nbars = 1;
	c->values[0][0] = uss / 1024;
	c->values[0][1] = MAX(pss - uss, 0.0) / 1024;
}

static int measure_memory(struct bench *b, struct thaw_err *err)
{
	struct thaw_template *t;
	pid_t pids[BENCH_CLONES] = { 0 };
	double uss = 0, pss = 0;
	int ret = thaw_template_open(&t, b->host, b->image, b->plan.tier, BENCH_CLONES, err);

	if (ret < 0)
		return ret;
	ret = park(b, t, pids, cmd_err(err));
	for (unsigned int i = 0; i < BENCH_CLONES && ret == 0; i++) {
		struct memory_use use;

		ret = memory_of(pids[i], &use);
		if (ret < 0)
			err_set(cmd_err(err), -ret, "smaps_rollup of a clone: %s",
				strerrordesc_np(-ret));
		uss += (double)use.uss / BENCH_CLONES;
		pss += (double)use.pss / BENCH_CLONES;
	}
	end(pids);
	if (ret == 0)
		add_memory(b, thaw_template_tier(t, NULL), uss, pss);
	thaw_template_close(t);
	return ret;
}

/* ---- the report ---- */

static int report(struct bench *b, struct err *err)
{
	int ret = 0;

	report_latencies(&b->report);
	if (b->out)
		ret = report_write(&b->report, b->out, err);
	if (ret < 0)
		return ret;
	if (b->json)
		return cmd_print_json(stdout, report_json(&b->report)) == EXIT_OK ? 0 : -EILSEQ;
	report_markdown(&b->report, stdout);
	return 0;
}

/* Every part of the goals needs a tier of its own: with one tier there is no verdict. */
static int measure_starts(struct bench *b, const char *title, struct thaw_err *err)
{
	int ret;

	report_init(&b->report, title);
	if (!b->plan.tier)
		goals_init(&b->goals, &b->report);
	ret = stamps_measure(&b->report, &b->plan, err);
	if (ret == 0)
		ret = measure_peers(b, err);
	if (ret == 0 && !b->plan.tier)
		goals_report(&b->goals, &b->report);
	return ret;
}

static int bench_run(int argc, char **argv)
{
	static struct bench b = { .starts = BENCH_STARTS };
	struct thaw_err err = { 0 };
	char title[160];
	int opt, ret, code;

	while ((opt = getopt_long(argc, argv, "n:", options, NULL)) != -1) {
		code = take_option(&b, opt, optarg);
		if (code != 0)
			return code;
	}
	code = check_arguments(&b, argc - optind, argv + optind);
	if (code != 0)
		return code;
	snprintf(title, sizeof(title), "thaw bench: %.140s", b.dir);
	ret = prepare(&b, &err);
	if (ret == 0)
		ret = measure_starts(&b, title, &err);
	if (ret == 0) {
		chart_curves(&b);
		ret = measure_memory(&b, &err);
	}
	if (ret == 0)
		ret = report(&b, cmd_err(&err));
	code = ret < 0 ? cmd_fail(ret, cmd_err(&err)) : EXIT_OK;
	report_fini(&b.report);
	thaw_image_close(b.image);
	thaw_host_close(b.host);
	blob_free(&b.event);
	return code;
}

const struct cmd cmd_bench = {
	.name = "bench",
	.run = bench_run,
	.usage = "[OPTION]... DIR",
	.summary = "measure how fast an image starts here, and what a clone of it costs",
	.options =
		"  -n N               starts in each tier (300); a minute at most\n"
		"  --tier T           only this tier\n"
		"  --payload S        the event; without one it is empty\n"
		"  --payload-file F   the event is the content of F\n"
		"  --timeout MS       give up when there is no reply by then\n"
		"  --out DIR          write report.html, results.json and table.md there\n"
		"  --json             the results, raw samples included, as one JSON object\n",
};
