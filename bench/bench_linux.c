/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_linux.c - the same program in a Linux guest and in kindling, in turn: fresh, warm, and how
 * many instructions of their kernels KVM had to emulate for it.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "tools/measure/bare.h"
#include "tools/measure/slot.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/start.h"

#define ROUNDS 500u

static const char event[] = "ping";

/* One of the two. */
struct guest {
	struct subject subject, warm;
	double built_s; /* boot, freeze and record runs */
	struct start_plan plan;
	struct slot slot;
	struct series *fresh_emulated, *warm_emulated; /* of the sample before */
};

struct linux_part {
	struct guest linux, kindling;
	struct bare ring3, ring0;
	struct series *fresh[2], *warm[2]; /* Linux, kindling */
	struct series *ring3_us, *ring0_us;
};

/* ---- samples ---- */

static int fresh_sample(void *arg, double *us, struct thaw_err *err)
{
	static struct start_result r; /* too large for a stack */
	struct guest *g = arg;

	r.phases = (struct phases){ 0 };
	phase_mark(&r.phases, PHASE_REQUEST);
	start_here(&g->plan, true, &r);
	if (r.ret < 0) {
		*err = r.err;
		return r.ret;
	}
	if (r.reply_len != strlen(event) || memcmp(r.reply, event, r.reply_len) != 0)
		return err_set(cmd_err(err), EIO, "a fresh machine answered wrongly");
	*us = (double)(r.phases.at[PHASE_FIRST_RESPONSE] - r.phases.at[PHASE_REQUEST]) / 1e3;
	return series_add(g->fresh_emulated, (double)r.emulated);
}

static int warm_sample(void *arg, double *us, struct thaw_err *err)
{
	struct guest *g = arg;
	uint64_t before = thaw_clone_emulated(g->slot.clone);
	int ret = slot_sample(&g->slot, us, err);

	if (ret < 0)
		return ret;
	return series_add(g->warm_emulated,
			  (double)(thaw_clone_emulated(g->slot.clone) - before));
}

/* ---- what was found ---- */

/* Milliseconds that @s instructions take, going by those of the bare VM. */
static double emulated_ms(const struct linux_part *p, const struct series *s)
{
	double us = series_stats(p->ring0_us).p50 - series_stats(p->ring3_us).p50;

	return series_stats(s).p50 * us / BARE_RING0_INSTRUCTIONS / 1e3;
}

static void bar(struct bench *b, const struct linux_part *p, enum bar bar,
		struct series *const us[2], const struct series *emulated)
{
	bars_value(&b->bars, bar, series_stats(us[0]).p50 / 1e3);
	bars_beside(
		&b->bars, bar,
		"%.0f instructions of its kernel emulated, p50, about %.2f ms of it; kindling "
		"%.3f ms",
		series_stats(emulated).p50, emulated_ms(p, emulated),
		series_stats(us[1]).p50 / 1e3);
}

static int row(struct table *t, const struct linux_part *p, const char *name,
	       const struct guest *g, unsigned int which, struct thaw_err *err)
{
	unsigned int at = table_row(t);
	double size;
	int ret = subject_size(g->subject.dir, &size, cmd_err(err));

	if (ret < 0)
		return ret;
	table_cell(t, at, 0, "%s", name);
	table_cell(t, at, 1, "%.2f", g->built_s);
	table_cell(t, at, 2, "%.0f", size / 1024);
	table_cell(t, at, 3, "%.3f", series_stats(p->fresh[which]).p50 / 1e3);
	table_cell(t, at, 4, "%.0f, %.2f ms", series_stats(g->fresh_emulated).p50,
		   emulated_ms(p, g->fresh_emulated));
	table_cell(t, at, 5, "%.3f", series_stats(p->warm[which]).p50 / 1e3);
	table_cell(t, at, 6, "%.0f, %.2f ms", series_stats(g->warm_emulated).p50,
		   emulated_ms(p, g->warm_emulated));
	table_cell(t, at, 7, "%.3f", series_stats(g->slot.rewind).p50 / 1e3);
	return 0;
}

static int findings(struct bench *b, const struct linux_part *p, struct thaw_err *err)
{
	static const char *const columns[] = {
		"guest",	  "built, s", "image, KiB",	"fresh, ms",
		"emulated in it", "warm, ms", "emulated in it", "rewind, ms",
	};
	struct table *t = report_table(&b->report, "A thawed Linux, and kindling");
	int ret;

	memcpy(t->columns, columns, sizeof(columns));
	t->note =
		"One read and one write per event; medians, in turn. Built: booted, frozen, "
		"and "
		"restored three times for its working set. Emulated: instructions of the "
		"guest's kernel that KVM has no hardware for, and what as many take in a bare "
		"VM of this run.";
	ret = row(t, p, "Linux", &p->linux, 0, err);
	if (ret == 0)
		ret = row(t, p, "kindling", &p->kindling, 1, err);
	bar(b, p, BAR_LINUX, p->fresh, p->linux.fresh_emulated);
	bar(b, p, BAR_LINUX_WARM, p->warm, p->linux.warm_emulated);
	return ret;
}

/* ---- the run ---- */

static int interleave(struct bench *b, struct linux_part *p, struct thaw_err *err)
{
	struct series_list *l = &b->report.series;
	const struct variant v[] = {
		{ .run = fresh_sample,
		  .arg = &p->linux,
		  .to = series_new(l, "linux_fresh_us", "Linux, fresh, to response") },
		{ .run = fresh_sample,
		  .arg = &p->kindling,
		  .to = series_new(l, "kindling_fresh_us", "kindling, the same") },
		{ .run = warm_sample,
		  .arg = &p->linux,
		  .to = series_new(l, "linux_warm_us", "Linux, warm, to response") },
		{ .run = warm_sample,
		  .arg = &p->kindling,
		  .to = series_new(l, "kindling_warm_us", "kindling, the same") },
		{ .run = bare_sample,
		  .arg = &p->ring3,
		  .to = series_new(l, "linux_bare_us", "bare KVM_RUN round trip") },
		{ .run = bare_sample,
		  .arg = &p->ring0,
		  .to = series_new(l, "ring0_us", "bare, 1,402 instructions of ring 0") },
	};
	struct rounds rounds = { bench_rounds(b, ROUNDS), 3, b->quick ? 6 : 30 };

	p->fresh[0] = v[0].to, p->fresh[1] = v[1].to;
	p->warm[0] = v[2].to, p->warm[1] = v[3].to;
	p->ring3_us = v[4].to, p->ring0_us = v[5].to;
	return series_interleave(v, ARRAY_SIZE(v), rounds, err);
}

static int guest_open(struct guest *g, struct bench *b, bool is_linux, struct thaw_err *err)
{
	const struct recipe recipe = { .program = "echo", .linux_guest = is_linux };
	struct series_list *l = &b->report.series;
	const char *who = is_linux ? "linux" : "kindling";
	nsec_t from = clock_monotonic();
	char name[3][40];
	int ret = subject_open_by(&g->subject, b, &recipe, "map", err);

	g->built_s = (double)(clock_monotonic() - from) / 1e9;
	if (ret == 0)
		ret = subject_open_by(&g->warm, b, &recipe, "warm", err);
	if (ret < 0)
		return ret;
	g->plan = (struct start_plan){ .template = g->subject.template,
				       .event = event,
				       .event_len = strlen(event),
				       .count = true };
	g->slot = (struct slot){ .event = event, .event_len = strlen(event), .reply = event };
	ret = slot_open(&g->slot, g->warm.template, err);
	snprintf(name[0], sizeof(name[0]), "%s_rewind_us", who);
	snprintf(name[1], sizeof(name[1]), "%s_fresh_emulated", who);
	snprintf(name[2], sizeof(name[2]), "%s_warm_emulated", who);
	g->slot.rewind = series_new(l, name[0], "its rewind at release");
	g->fresh_emulated = series_new(l, name[1], "instructions emulated");
	g->warm_emulated = series_new(l, name[2], "instructions emulated");
	return ret;
}

static int part_open(struct linux_part *p, struct bench *b, struct thaw_err *err)
{
	int ret = guest_open(&p->linux, b, true, err);

	if (ret == 0)
		ret = guest_open(&p->kindling, b, false, err);
	if (ret == 0)
		ret = bare_open(&p->ring3, &b->kvm, err);
	return ret < 0 ? ret : bare_open_ring0(&p->ring0, &b->kvm, err);
}

static void guest_close(struct guest *g)
{
	slot_close(&g->slot);
	subject_close(&g->warm);
	subject_close(&g->subject);
}

/* It takes minutes to build, which is not everybody's wish. Paths are from the root of the sources. */
static bool have_linux(void)
{
	const char *dir = getenv("THAW_LINUX");
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/initramfs.cpio", dir ? dir : "build/linux");
	return access(path, F_OK) == 0;
}

int bench_linux(struct bench *b, struct thaw_err *err)
{
	static struct linux_part p;
	int ret;

	if (!have_linux()) {
		bars_beside(&b->bars, BAR_LINUX, "not built: make linux-guest");
		bars_beside(&b->bars, BAR_LINUX_WARM, "not built: make linux-guest");
		return 0;
	}
	ret = part_open(&p, b, err);
	if (ret == 0)
		ret = interleave(b, &p, err);
	if (ret == 0)
		ret = findings(b, &p, err);
	if (ret < 0) {
		bars_beside(&b->bars, BAR_LINUX, "%s", err->text);
		bars_beside(&b->bars, BAR_LINUX_WARM, "%s", err->text);
	}
	bare_close(&p.ring0);
	bare_close(&p.ring3);
	guest_close(&p.kindling);
	guest_close(&p.linux);
	return ret;
}
