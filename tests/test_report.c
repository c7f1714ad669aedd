/* SPDX-License-Identifier: Apache-2.0 */
/* test_report.c - a report as JSON, Markdown and HTML, and the verdict on the goals. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bars.h"
#include "engine/err.h"
#include "tests/helpers_image.h"
#include "tools/measure/goals.h"
#include "tools/measure/report.h"

static struct report r;
static struct goals g;

/* What @write writes, for free(3). */
static char *written(void (*write)(const struct report *r, FILE *to))
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	cr_assert(ne(ptr, to, NULL));
	write(&r, to);
	fclose(to);
	return text;
}

static void report_make(void)
{
	struct table *t;
	struct chart *c;
	struct series *s;

	report_init(&r, "a <report> & more");
	t = report_table(&r, "things");
	t->columns[0] = "name";
	t->columns[1] = "value";
	table_row(t);
	table_cell(t, 0, 0, "a|b\nc");
	table_cell(t, 0, 1, "%d<%d", 1, 2);
	s = series_new(&r.series, "x_us", "the x");
	for (int i = 1; i <= 10; i++)
		cr_assert(eq(int, series_add(s, i), 0));
	c = report_chart(&r, CHART_CDF, "curve");
	c->series[c->nseries++] = s;
	r.verdict = "all is well";
}

Test(report, json_has_the_host_every_percentile_and_every_sample)
{
	json_t *doc, *series;

	report_make();
	doc = report_json(&r);
	series = json_object_get(json_object_get(doc, "series"), "x_us");
	cr_expect(eq(dbl, json_real_value(json_object_get(series, "p50")), 5));
	cr_expect(eq(dbl, json_real_value(json_object_get(series, "p99")), 10));
	cr_expect(eq(sz, json_array_size(json_object_get(series, "samples")), 10));
	cr_expect(gt(
		int,
		(int)json_integer_value(json_object_get(json_object_get(doc, "host"), "cpus")),
		0));
	json_decref(doc);
	report_fini(&r);
}

Test(report, markdown_keeps_cells_in_their_columns_and_ends_with_the_verdict)
{
	static const char end[] = "\nall is well\n";
	char *text;

	report_make();
	report_latencies(&r);
	text = written(report_markdown);
	cr_expect(ne(ptr, strstr(text, "| a\\|b c | 1<2 |"), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, "| the x | 5.0 | 9.0 | 10.0 | 10.0 | 10 |"), NULL));
	cr_expect(eq(str, text + strlen(text) - strlen(end), (char *)end));
	free(text);
	report_fini(&r);
}

Test(report, html_shows_text_as_text_and_loads_nothing)
{
	char *text;

	report_make();
	text = written(report_html);
	cr_expect(ne(ptr, strstr(text, "a &lt;report&gt; &amp; more"), NULL));
	cr_expect(ne(ptr, strstr(text, "<td>1&lt;2</td>"), NULL));
	cr_expect(ne(ptr, strstr(text, "<polyline"), NULL));
	cr_expect(eq(ptr, strstr(text, "<report>"), NULL));
	cr_expect(eq(ptr, strstr(text, "src="), NULL));
	cr_expect(eq(ptr, strstr(text, "href="), NULL));
	cr_expect(eq(ptr, strstr(text, "nan"), NULL));
	free(text);
	report_fini(&r);
}

Test(report, charts_without_values_say_so)
{
	static const enum chart_kind kinds[] = { CHART_CDF, CHART_STACK, CHART_LINES };
	struct series *empty;
	char *text;

	report_init(&r, "empty");
	empty = series_new(&r.series, "none_us", "none");
	for (int i = 0; i < 3; i++) {
		struct chart *c = report_chart(&r, kinds[i], "a chart");

		c->x = empty;
		c->series[c->nseries++] = empty;
	}
	text = written(report_html);
	for (int i = 0; i < 3; i++) {
		char *at = strstr(text, "Nothing was measured");

		cr_assert(ne(ptr, at, NULL), "chart %d", i);
		*at = 'n';
	}
	cr_expect(eq(ptr, strstr(text, "<svg"), NULL));
	free(text);
	report_fini(&r);
}

Test(report, is_written_as_three_files_or_not_without_a_reason)
{
	char scratch[256];
	struct err err = { 0 };

	report_make();
	scratch_make(scratch);
	cr_assert(eq(int, report_write(&r, scratch_path(scratch, "out"), &err), 0), "%s",
		  err.text);
	cr_expect(eq(int, entries_in(scratch_path(scratch, "out")), 3));
	cr_expect(eq(int, report_write(&r, "/dev/null/out", &err), -ENOTDIR));
	cr_expect(ne(ptr, strstr(err.text, "/dev/null/out"), NULL));
	scratch_remove(scratch);
	report_fini(&r);
}

/* ---- goals ---- */

static void goals_make(void)
{
	report_init(&r, "goals");
	goals_init(&g, &r);
}

Test(goals, what_was_not_measured_is_missed_and_says_why)
{
	goals_make();
	goals_missing(&g, GOAL_QEMU, "there is no QEMU here");
	goals_report(&g, &r);
	cr_expect(eq(str, g.verdict, "must: 0 of 14, goal: 0 of 14"));
	cr_expect(eq(str, g.table->cells[GOAL_QEMU - 1][2], "not measured"));
	cr_expect(eq(str, g.table->cells[GOAL_QEMU - 1][5], "there is no QEMU here"));
	report_fini(&r);
}

Test(goals, every_bound_of_a_goal_counts)
{
	goals_make();
	goals_value(&g, GOAL_COUNTS, 0, 0);
	cr_expect(not(goals_kept(&g, GOAL_COUNTS, false)), "the second is not measured");
	goals_value(&g, GOAL_COUNTS, 1, 8);
	cr_expect(goals_kept(&g, GOAL_COUNTS, false));
	cr_expect(not(goals_kept(&g, GOAL_COUNTS, true)), "8 calls are more than 3");
	goals_value(&g, GOAL_COUNTS, 0, 1);
	cr_expect(not(goals_kept(&g, GOAL_COUNTS, false)), "one page fault is too many");
	report_fini(&r);
}

Test(goals, a_rate_has_to_be_at_least_its_bound)
{
	goals_make();
	goals_value(&g, GOAL_RATE, 0, 19.9);
	cr_expect(not(goals_kept(&g, GOAL_RATE, false)));
	goals_value(&g, GOAL_RATE, 0, 20);
	cr_expect(goals_kept(&g, GOAL_RATE, false));
	cr_expect(not(goals_kept(&g, GOAL_RATE, true)));
	report_fini(&r);
}

Test(goals, ratios_come_from_series_with_their_interval)
{
	struct series *over, *under;

	goals_make();
	over = series_new(&r.series, "a_us", "a");
	under = series_new(&r.series, "b_us", "b");
	goals_ratio(&g, GOAL_WARM_SPAWN, over, 50, under, 50);
	cr_expect(not(g.rows[GOAL_WARM_SPAWN].bounds[0].measured), "nothing to divide");
	for (int i = 0; i < 100; i++) {
		cr_assert(eq(int, series_add(over, 10 + i % 3), 0));
		cr_assert(eq(int, series_add(under, 100), 0));
	}
	goals_ratio(&g, GOAL_WARM_SPAWN, over, 50, under, 50);
	cr_expect(eq(dbl, g.rows[GOAL_WARM_SPAWN].bounds[0].found.value, 0.11));
	cr_expect(goals_kept(&g, GOAL_WARM_SPAWN, true));
	goals_report(&g, &r);
	cr_expect(eq(str, g.verdict, "must: 1 of 14, goal: 1 of 14"));
	report_fini(&r);
}

Test(bars, each_has_a_verdict_and_none_counts_for_the_last_line)
{
	struct bars bars;
	json_t *doc, *row;
	char *text;

	goals_make();
	bars_init(&bars, &r);
	bars_value(&bars, BAR_ECHO, 100);
	bars_value(&bars, BAR_THREADS, 1.69);
	bars_beside(&bars, BAR_COLD, "no disk here");
	goals_report(&g, &r);
	bars_report(&bars, &r);
	text = written(report_markdown);
	cr_expect(ne(ptr, strstr(text, "| 100 us | <= 100 us: yes |"), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, "| 1.69 | >= 1.7: NO |"), NULL), "%s", text);
	cr_expect(ne(ptr, strstr(text, "| not measured | <= 0.5: NO | no disk here |"), NULL),
		  "%s", text);
	cr_expect(ne(ptr, strstr(text, "\nmust: 0 of 14, goal: 0 of 14\n"), NULL), "%s", text);
	doc = report_json(&r);
	row = json_array_get(json_object_get(doc, "bars"), BAR_ECHO);
	cr_expect(eq(int, json_boolean_value(json_object_get(row, "kept")), 1));
	cr_expect(eq(dbl, json_real_value(json_object_get(row, "value")), 100));
	json_decref(doc);
	free(text);
	report_fini(&r);
}
