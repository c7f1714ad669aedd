/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the benchmark: run every part, write the report. `make bench`. */
#include <ftw.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "engine/fds.h"
#include "tools/thaw/cmd.h"

#define ZYGOTE_MEMORY (1ull << 60) /* what fits is what is measured: refuse nothing */

static const struct option options[] = {
	{ "quick", no_argument, NULL, 'q' },
	{ "density", no_argument, NULL, 'd' },
	{ "only", required_argument, NULL, 'o' },
	{ "thaw", required_argument, NULL, 't' },
	{ "guest", required_argument, NULL, 'g' },
	{ "out", required_argument, NULL, 'r' },
	{ 0 },
};

static const struct part {
	const char *name;
	int (*run)(struct bench *b, struct thaw_err *err);
} parts[] = {
	/* First: it forks, and a fork copies what the process has gathered, as `thaw run` has not. */
	{ "fresh", bench_fresh }, { "warm", bench_warm },	{ "rate", bench_rate },
	{ "cold", bench_cold },	  { "density", bench_density }, { "size", bench_size },
	{ "fork", bench_fork },	  { "linux", bench_linux },	{ "disk", bench_disk },
};

static const struct part long_density[] = { { "density", bench_density_long } };

static int usage(void)
{
	fprintf(stderr,
		"usage: bench [--quick] [--density] [--only PART] [--thaw PROGRAM] "
		"[--guest DIR] [--out DIR]\n"
		"PART is fresh, warm, rate, cold, density, size, fork, linux or disk\n");
	return EXIT_USAGE;
}

static int bench_open(struct bench *b, struct thaw_err *err)
{
	const char *tmp = getenv("TMPDIR");
	int ret;

	fds_raise_limit(); /* a slot needs two, and a thousand are made */
	snprintf(b->scratch, sizeof(b->scratch), "%.40s/thaw-bench.XXXXXX",
		 tmp ? tmp : "/var/tmp");
	if (!mkdtemp(b->scratch))
		return err_sys(cmd_err(err), "make %s", b->scratch);
	ret = thaw_zygote_open(&b->zygote, ZYGOTE_MEMORY, NULL, err);
	if (ret == 0)
		ret = thaw_host_open(&b->host, err);
	if (ret == 0)
		ret = kvm_open(&b->kvm, cmd_err(err));
	return ret;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st;
	(void)type;
	(void)where;
	return remove(path);
}

static void bench_close(struct bench *b)
{
	if (b->kvm.fd > 0)
		kvm_close(&b->kvm);
	thaw_host_close(b->host);
	thaw_zygote_close(b->zygote);
	nftw(b->scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	report_fini(&b->report);
}

/* A part that fails does not take the others with it; the first failure is told at the end. */
static int run_parts(struct bench *b, const struct part *list, size_t n, const char *only)
{
	int first = 0;

	for (size_t i = 0; i < n; i++) {
		struct thaw_err err = { 0 };
		nsec_t from = clock_monotonic();
		int ret;

		if (only && strcmp(only, list[i].name) != 0)
			continue;
		ret = list[i].run(b, &err);
		fprintf(stderr, "bench: %-8s %6.1f s%s%s\n", list[i].name,
			(double)(clock_monotonic() - from) / 1e9, ret < 0 ? "  FAILED: " : "",
			ret < 0 ? err.text : "");
		if (first == 0)
			first = ret;
	}
	return first;
}

static int finish(struct bench *b, bool goals, const char *out)
{
	struct err err = { 0 };
	int ret;

	if (goals) {
		goals_report(&b->goals, &b->report);
		bars_report(&b->bars, &b->report);
	}
	report_latencies(&b->report);
	ret = report_write(&b->report, out, &err);
	if (ret < 0)
		return cmd_fail(ret, &err);
	report_markdown(&b->report, stdout);
	return EXIT_OK;
}

int main(int argc, char **argv)
{
	static struct bench b = { .thaw = "bin/thaw", .guest = "build/guest" };
	const char *out = "build/bench", *only = NULL;
	struct thaw_err err = { 0 };
	bool density = false;
	int opt, ret, code;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (opt) {
		case 'q':
			b.quick = true;
			break;
		case 'd':
			density = true;
			break;
		case 'o':
			only = optarg;
			break;
		case 't':
			b.thaw = optarg;
			break;
		case 'g':
			b.guest = optarg;
			break;
		case 'r':
			out = optarg;
			break;
		default:
			return usage();
		}
	}
	if (optind != argc)
		return usage();
	report_init(&b.report, density ? "thaw: density" : "thaw: benchmark");
	if (!density) {
		goals_init(&b.goals, &b.report);
		bars_init(&b.bars, &b.report);
	}
	ret = bench_open(&b, &err);
	if (ret < 0) {
		code = cmd_fail(ret, cmd_err(&err));
	} else {
		ret = density ? run_parts(&b, long_density, ARRAY_SIZE(long_density), only)
			      : run_parts(&b, parts, ARRAY_SIZE(parts), only);
		code = finish(&b, !density, out);
		if (ret < 0 && code == EXIT_OK)
			code = exit_code(ret);
	}
	bench_close(&b);
	return code;
}
