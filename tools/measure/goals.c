/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/goals.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct goal_row rows[GOALS + 1] = {
	[GOAL_WARM_SPAWN] = {
		.what =
			"warm start to response / posix_spawn and wait of a static binary "
			"that does the same (both pristine)",
		.bounds = { { .unit = "", .must = 0.33, .goal = 0.125 } } },
	[GOAL_WARM_BARE] = {
		.what =
			"warm start to response / bare KVM_RUN round trip of the same exit "
			"from ring 3",
		.bounds = { { .unit = "", .must = 4, .goal = 2 } } },
	[GOAL_FRESH_USUAL] = {
		.what =
			"fresh VM, restore, response, teardown / the same with the usual "
			"order: irqchip, PIT, then memory",
		.bounds = { { .unit = "", .must = 0.10, .goal = 0.03 } } },
	[GOAL_FRESH_IOCTLS] = {
		.what =
			"fresh restore to first instruction, in process / sum of its own "
			"ioctls",
		.bounds = { { .unit = "", .must = 1.5, .goal = 1.10 } } },
	[GOAL_RATE] = {
		.what =
			"starts/s with 2 threads: warm, rewind included / fresh, teardown "
			"included",
		.bounds = { { .unit = "", .must = 20, .goal = 50, .at_least = true } } },
	[GOAL_READY] = {
		.what =
			"tier ready from LZ4, shell waiting, to response touching 2,048 pages "
			"/ lazy MAP_PRIVATE of the same, uncompressed and page-cached, shell "
			"waiting",
		.bounds = { { .unit = "", .must = 0.5, .goal = 0.25 } } },
	[GOAL_COLD] = {
		.what =
			"the same from a cold disk / mmap-and-touch from a cold disk",
		.bounds = { { .unit = "", .must = 0.5, .goal = 0.25 } } },
	[GOAL_MEMORY] = {
		.what =
			"USS of guest RAM after responding / bytes dirtied (tier map); "
			"VMM-private and kernel memory per clone",
		.bounds = { { .unit = "", .must = 1.5, .goal = 1.10 },
			    { .unit = "KiB", .must = 1024, .goal = 500 } } },
	[GOAL_COUNTS] = {
		.what =
			"page faults per warm start; system calls per warm start",
		.bounds = { { .unit = "faults", .must = 0, .goal = 0 },
			    { .unit = "calls", .must = 8, .goal = 3 } } },
	[GOAL_FAN_OUT] = {
		.what =
			"1000 distinct clones alive at once, from waiting shells, each "
			"answering a different event",
		.bounds = { { .unit = "ms", .must = 1000, .goal = 300 } } },
	[GOAL_QEMU] = {
		.what =
			"fresh restore to response, process fork included / "
			"qemu-system-x86_64 -M microvm -incoming, spawn to running",
		.bounds = { { .unit = "", .must = 0.05, .goal = 0.02 } } },
	[GOAL_JITTER] = {
		.what =
			"p99 / p50 of a warm start",
		.bounds = { { .unit = "", .must = 3, .goal = 1.5 } } },
	[GOAL_SIZE] = {
		.what =
			"image size / non-zero guest memory, sum over the samples",
		.bounds = { { .unit = "", .must = 0.7, .goal = 0.5 } } },
	[GOAL_REWIND] = {
		.what =
			"pages copied / pages really changed per rewind, varied events",
		.bounds = { { .unit = "", .must = 2, .goal = 1.2 } } },
};
/* clang-format on */

void goals_init(struct goals *g, struct report *r)
{
	memcpy(g->rows, rows, sizeof(rows));
	g->verdict[0] = '\0';
	g->table = report_table(r, "Goals");
	for (unsigned int i = 1; i <= GOALS; i++)
		snprintf(g->rows[i].missing, sizeof(g->rows[i].missing), "not reached");
}

void goals_found(struct goals *g, enum goal number, unsigned int bound, struct ratio found)
{
	struct goal_bound *b = &g->rows[number].bounds[bound];

	b->measured = true;
	b->found = found;
}

void goals_value(struct goals *g, enum goal number, unsigned int bound, double value)
{
	goals_found(g, number, bound, (struct ratio){ value, value, value });
}

void goals_ratio(struct goals *g, enum goal number, const struct series *over,
		 unsigned int over_percent, const struct series *under,
		 unsigned int under_percent)
{
	struct ratio found;

	if (series_ratio(&found, over, over_percent, under, under_percent) == 0)
		goals_found(g, number, 0, found);
}

void goals_missing(struct goals *g, enum goal number, const char *fmt, ...)
{
	struct goal_row *row = &g->rows[number];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->missing, sizeof(row->missing), fmt, ap);
	va_end(ap);
}

void goals_beside(struct goals *g, enum goal number, const char *fmt, ...)
{
	struct goal_row *row = &g->rows[number];
	size_t at = strlen(row->beside);
	va_list ap;

	if (at > 0)
		at += (size_t)snprintf(row->beside + at, sizeof(row->beside) - at, "; ");
	if (at >= sizeof(row->beside))
		return;
	va_start(ap, fmt);
	vsnprintf(row->beside + at, sizeof(row->beside) - at, fmt, ap);
	va_end(ap);
}

bool bound_kept(const struct goal_bound *b, bool goal)
{
	double limit = goal ? b->goal : b->must;

	if (!b->measured)
		return false;
	return b->at_least ? b->found.value >= limit : b->found.value <= limit;
}

/* Has every bound of @row been measured? */
static bool row_measured(const struct goal_row *row)
{
	for (unsigned int i = 0; i < GOAL_BOUNDS; i++) {
		if (row->bounds[i].unit && !row->bounds[i].measured)
			return false;
	}
	return true;
}

bool goals_kept(const struct goals *g, enum goal number, bool goal)
{
	const struct goal_row *row = &g->rows[number];

	for (unsigned int i = 0; i < GOAL_BOUNDS; i++) {
		if (row->bounds[i].unit && !bound_kept(&row->bounds[i], goal))
			return false;
	}
	return true;
}

size_t bound_limit_text(const struct goal_bound *b, bool goal, char *text, size_t size)
{
	return (size_t)snprintf(text, size, "%s %g%s%s",
				b->at_least ? ">=" : "<=", goal ? b->goal : b->must,
				b->unit[0] ? " " : "", b->unit);
}

size_t bound_found_text(const struct goal_bound *b, char *text, size_t size)
{
	const struct ratio *f = &b->found;

	if (!b->measured)
		return (size_t)snprintf(text, size, "not measured");
	if (f->low < f->high)
		return (size_t)snprintf(text, size, "%.3g [%.3g, %.3g]", f->value, f->low,
					f->high);
	return (size_t)snprintf(text, size, "%.3g%s%s", f->value, b->unit[0] ? " " : "",
				b->unit);
}

/* Where the text of bound @i begins, behind those before it. */
static size_t separate(unsigned int i, char *text, size_t at, size_t size)
{
	return i > 0 && at < size ? at + (size_t)snprintf(text + at, size - at, "; ") : at;
}

/* "<= 0.33" or "<= 1.5; <= 1024 KiB" */
static void limits_text(const struct goal_row *row, bool goal, char *text, size_t size)
{
	size_t at = 0;

	for (unsigned int i = 0; i < GOAL_BOUNDS && row->bounds[i].unit; i++) {
		at = separate(i, text, at, size);
		if (at < size)
			at += bound_limit_text(&row->bounds[i], goal, text + at, size - at);
	}
}

static void found_text(const struct goal_row *row, char *text, size_t size)
{
	size_t at = 0;

	for (unsigned int i = 0; i < GOAL_BOUNDS && row->bounds[i].unit; i++) {
		at = separate(i, text, at, size);
		if (at < size)
			at += bound_found_text(&row->bounds[i], text + at, size - at);
	}
}

static void row_report(const struct goals *g, enum goal number, struct table *t)
{
	const struct goal_row *row = &g->rows[number];
	unsigned int at = table_row(t);
	char text[96];

	table_cell(t, at, 0, "%d", (int)number);
	table_cell(t, at, 1, "%s", row->what);
	found_text(row, text, sizeof(text));
	table_cell(t, at, 2, "%s", text);
	limits_text(row, false, text, sizeof(text));
	table_cell(t, at, 3, "%s: %s", text, goals_kept(g, number, false) ? "yes" : "NO");
	limits_text(row, true, text, sizeof(text));
	table_cell(t, at, 4, "%s: %s", text, goals_kept(g, number, true) ? "yes" : "NO");
	table_cell(t, at, 5, "%s%s%s", row_measured(row) ? "" : row->missing,
		   !row_measured(row) && row->beside[0] ? "; " : "", row->beside);
}

static json_t *bound_json(const struct goal_bound *b)
{
	json_t *doc = json_pack("{ss sf sf sb}", "unit", b->unit, "must", b->must, "goal",
				b->goal, "at_least", b->at_least);

	if (b->measured)
		json_object_update_new(doc,
				       json_pack("{sf sf sf}", "value", b->found.value, "low",
						 b->found.low, "high", b->found.high));
	return doc;
}

static json_t *row_json(const struct goals *g, enum goal number)
{
	const struct goal_row *row = &g->rows[number];
	json_t *bounds = json_array();

	for (unsigned int i = 0; i < GOAL_BOUNDS && row->bounds[i].unit; i++)
		json_array_append_new(bounds, bound_json(&row->bounds[i]));
	return json_pack("{si ss so sb sb sb ss ss}", "number", (int)number, "what", row->what,
			 "bounds", bounds, "measured", row_measured(row), "must",
			 goals_kept(g, number, false), "goal", goals_kept(g, number, true),
			 "beside", row->beside, "missing",
			 row_measured(row) ? "" : row->missing);
}

void goals_report(struct goals *g, struct report *r)
{
	static const char *const columns[] = { "#", "what", "found", "must", "goal", "beside" };
	struct table *t = g->table;
	json_t *list = json_array();
	unsigned int must = 0, goal = 0;

	memcpy(t->columns, columns, sizeof(columns));
	t->note = "Ratios are of medians, with 95 % bootstrap intervals, both sides taken in "
		  "this run, interleaved. What was not measured counts as missed.";
	for (unsigned int i = 1; i <= GOALS; i++) {
		row_report(g, (enum goal)i, t);
		json_array_append_new(list, row_json(g, (enum goal)i));
		must += goals_kept(g, (enum goal)i, false);
		goal += goals_kept(g, (enum goal)i, true);
	}
	snprintf(g->verdict, sizeof(g->verdict), "must: %u of %u, goal: %u of %u", must, GOALS,
		 goal, GOALS);
	r->verdict = g->verdict;
	if (!r->extra)
		r->extra = json_object();
	json_object_set_new(r->extra, "goals", list);
	json_object_set_new(r->extra, "verdict", json_string(g->verdict));
}
