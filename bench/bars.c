/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bars.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/util.h"

/* clang-format off */
static const struct bar_row rows[BARS] = {
	[BAR_ECHO] = {
		.what = "warm start of echo to response, p50",
		.bound = { .unit = "us", .must = 100 } },
	[BAR_SQL] = {
		.what =
			"warm start of sql to response, p50, a query that touches fewer than 200 "
			"pages: more than the same query on a machine that has already answered it",
		.bound = { .unit = "us", .must = 300 } },
	[BAR_THREADS] = {
		.what = "warm starts/s, rewind included: 2 threads / 1 thread",
		.bound = { .unit = "", .must = 1.7, .at_least = true } },
	[BAR_COLD] = {
		.what =
			"sql from a cold disk by tier auto, template included, to response / "
			"mmap and touch of the same, uncompressed",
		.bound = { .unit = "", .must = 0.5 } },
	[BAR_READ] = {
		.what =
			"bytes that it reads before the first response / its working set, "
			"compressed",
		.bound = { .unit = "", .must = 1.2 } },
	[BAR_FORK_FEW] = {
		.what =
			"pause of a live fork with 50 dirty pages, 64 MiB and 1 GiB of RAM: the "
			"longer / the shorter",
		.bound = { .unit = "", .must = 1.2 } },
	[BAR_FORK_MANY] = {
		.what = "the same with 1,000 dirty pages",
		.bound = { .unit = "", .must = 1.2 } },
	[BAR_LINUX] = {
		.what = "fresh restore of a Linux guest to response, p50, one read and one write",
		.bound = { .unit = "ms", .must = 10 } },
	[BAR_LINUX_WARM] = {
		.what = "warm start of a Linux guest to response, p50",
		.bound = { .unit = "ms", .must = 5 } },
	[BAR_DISK] = {
		.what =
			"reads of 128 KiB, 16 in flight, by a guest's driver in ring 3 of a virtio "
			"disk / by io_uring of the same file: MiB/s",
		.bound = { .unit = "", .must = 0.7, .at_least = true } },
};
/* clang-format on */

void bars_init(struct bars *bars, struct report *r)
{
	memcpy(bars->rows, rows, sizeof(rows));
	bars->table = report_table(r, "Bars");
}

static void found(struct bars *bars, enum bar bar, struct ratio value)
{
	bars->rows[bar].bound.measured = true;
	bars->rows[bar].bound.found = value;
}

void bars_value(struct bars *bars, enum bar bar, double value)
{
	found(bars, bar, (struct ratio){ value, value, value });
}

void bars_ratio(struct bars *bars, enum bar bar, const struct series *over,
		const struct series *under)
{
	struct ratio ratio;

	if (series_ratio(&ratio, over, 50, under, 50) == 0)
		found(bars, bar, ratio);
}

void bars_beside(struct bars *bars, enum bar bar, const char *fmt, ...)
{
	struct bar_row *row = &bars->rows[bar];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(row->beside, sizeof(row->beside), fmt, ap);
	va_end(ap);
}

static json_t *row_json(const struct bar_row *row)
{
	const struct goal_bound *b = &row->bound;
	json_t *doc =
		json_pack("{ss ss sf sb sb sb ss}", "what", row->what, "unit", b->unit, "bar",
			  b->must, "at_least", b->at_least, "measured", b->measured, "kept",
			  bound_kept(b, false), "beside", row->beside);

	if (b->measured)
		json_object_update_new(doc,
				       json_pack("{sf sf sf}", "value", b->found.value, "low",
						 b->found.low, "high", b->found.high));
	return doc;
}

static void row_report(const struct bar_row *row, struct table *t)
{
	unsigned int at = table_row(t);
	char text[96];

	table_cell(t, at, 0, "%s", row->what);
	bound_found_text(&row->bound, text, sizeof(text));
	table_cell(t, at, 1, "%s", text);
	bound_limit_text(&row->bound, false, text, sizeof(text));
	table_cell(t, at, 2, "%s: %s", text, bound_kept(&row->bound, false) ? "yes" : "NO");
	table_cell(t, at, 3, "%s", row->beside);
}

void bars_report(struct bars *bars, struct report *r)
{
	static const char *const columns[] = { "what", "found", "bar", "beside" };
	json_t *list = json_array();

	memcpy(bars->table->columns, columns, sizeof(columns));
	bars->table->note =
		"Of medians, both sides taken in this run, interleaved. What was not "
		"measured counts as missed.";
	for (size_t i = 0; i < BARS; i++) {
		row_report(&bars->rows[i], bars->table);
		json_array_append_new(list, row_json(&bars->rows[i]));
	}
	if (!r->extra)
		r->extra = json_object();
	json_object_set_new(r->extra, "bars", list);
}
