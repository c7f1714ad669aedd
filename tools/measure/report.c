/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/report.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/err.h"
#include "engine/util.h"

void report_init(struct report *r, const char *title)
{
	memset(r, 0, sizeof(*r)); /* too large to be copied from the stack */
	r->title = title;
	host_facts_read(&r->host);
}

static void table_fini(struct table *t)
{
	for (unsigned int row = 0; row < t->nrows; row++) {
		for (unsigned int column = 0; column < TABLE_COLUMNS; column++)
			free(t->cells[row][column]);
	}
}

void report_fini(struct report *r)
{
	for (unsigned int i = 0; i < r->ntables; i++)
		table_fini(&r->tables[i]);
	series_fini(&r->series);
	json_decref(r->extra);
	memset(r, 0, sizeof(*r));
}

unsigned int table_row(struct table *t)
{
	assert(t->nrows < TABLE_ROWS);
	return t->nrows++;
}

void table_cell(struct table *t, unsigned int row, unsigned int column, const char *fmt, ...)
{
	va_list ap;

	assert(row < t->nrows && column < TABLE_COLUMNS);
	free(t->cells[row][column]);
	va_start(ap, fmt);
	if (vasprintf(&t->cells[row][column], fmt, ap) < 0)
		t->cells[row][column] = NULL; /* shown as empty */
	va_end(ap);
}

struct table *report_table(struct report *r, const char *title)
{
	assert(r->ntables < REPORT_TABLES);
	r->tables[r->ntables].title = title;
	return &r->tables[r->ntables++];
}

struct chart *report_chart(struct report *r, enum chart_kind kind, const char *title)
{
	assert(r->ncharts < REPORT_CHARTS);
	r->charts[r->ncharts] = (struct chart){ .kind = kind, .title = title };
	return &r->charts[r->ncharts++];
}

static int is_latency(const struct series *s)
{
	size_t len = strlen(s->name);

	return len > 3 && strcmp(s->name + len - 3, "_us") == 0;
}

void report_latencies(struct report *r)
{
	static const char *const columns[] = { "what", "p50", "p90", "p99", "max", "samples" };
	struct table *t = report_table(r, "Latencies, microseconds");

	memcpy(t->columns, columns, sizeof(columns));
	for (unsigned int i = 0; i < r->series.n; i++) {
		const struct series *s = &r->series.all[i];
		struct stats st = series_stats(s);
		const double values[] = { st.p50, st.p90, st.p99, st.max };
		unsigned int row;

		if (!is_latency(s) || st.n == 0)
			continue;
		row = table_row(t);
		table_cell(t, row, 0, "%s", s->label);
		for (unsigned int k = 0; k < 4; k++)
			table_cell(t, row, k + 1, "%.1f", values[k]);
		table_cell(t, row, 5, "%zu", st.n);
	}
}

static json_t *series_json(const struct series *s)
{
	struct stats st = series_stats(s);
	json_t *samples = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(samples, json_real(s->values[i]));
	return json_pack("{ss sI sf sf sf sf so}", "label", s->label, "n", (json_int_t)st.n,
			 "p50", st.p50, "p90", st.p90, "p99", st.p99, "max", st.max, "samples",
			 samples);
}

json_t *report_json(const struct report *r)
{
	json_t *series = json_object();
	json_t *doc = json_pack("{ss so so}", "title", r->title, "host",
				host_facts_json(&r->host), "series", series);

	for (unsigned int i = 0; i < r->series.n; i++)
		json_object_set_new(series, r->series.all[i].name,
				    series_json(&r->series.all[i]));
	if (r->extra)
		json_object_update(doc, r->extra);
	return doc;
}

/* A cell may not end the cell. */
static void markdown_text(const char *text, FILE *to)
{
	for (; text && *text; text++) {
		if (*text == '|')
			putc('\\', to);
		putc(*text == '\n' ? ' ' : *text, to);
	}
}

static void markdown_table(const struct table *t, FILE *to)
{
	unsigned int n = 0;

	fprintf(to, "## %s\n\n", t->title);
	for (; n < TABLE_COLUMNS && t->columns[n]; n++)
		fprintf(to, "| %s ", t->columns[n]);
	fprintf(to, "|\n");
	for (unsigned int i = 0; i < n; i++)
		fprintf(to, "|---");
	fprintf(to, "|\n");
	for (unsigned int row = 0; row < t->nrows; row++) {
		for (unsigned int i = 0; i < n; i++) {
			fprintf(to, "| ");
			markdown_text(t->cells[row][i], to);
			putc(' ', to);
		}
		fprintf(to, "|\n");
	}
	fprintf(to, "\n");
	if (t->note)
		fprintf(to, "%s\n\n", t->note);
}

void report_markdown(const struct report *r, FILE *to)
{
	const char *name, *text;

	fprintf(to, "# %s\n\n", r->title);
	for (unsigned int i = 0; (name = host_fact(&r->host, i, &text)) != NULL; i++)
		fprintf(to, "%s%s: %s", i > 0 ? " · " : "", name, text);
	fprintf(to, "\n\n");
	for (unsigned int i = 0; i < r->ntables; i++)
		markdown_table(&r->tables[i], to);
	if (r->verdict)
		fprintf(to, "%s\n", r->verdict);
}

static void write_json(const struct report *r, FILE *to)
{
	json_t *doc = report_json(r);

	json_dumpf(doc, to, JSON_COMPACT | JSON_REAL_PRECISION(10));
	putc('\n', to);
	json_decref(doc);
}

int report_write(const struct report *r, const char *dir, struct err *err)
{
	static const struct {
		const char *name;
		void (*write)(const struct report *r, FILE *to);
	} files[] = {
		{ "results.json", write_json },
		{ "table.md", report_markdown },
		{ "report.html", report_html },
	};
	char path[512];

	if (mkdir(dir, 0777) < 0 && errno != EEXIST)
		return err_sys(err, "make the directory %s", dir);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *to;
		int bad;

		snprintf(path, sizeof(path), "%s/%s", dir, files[i].name);
		to = fopen(path, "we");
		if (!to)
			return err_sys(err, "%s", path);
		files[i].write(r, to);
		bad = ferror(to);
		if (fclose(to) != 0 || bad)
			return err_sys(err, "write %s", path);
	}
	return 0;
}
