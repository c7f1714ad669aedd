/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report.h - one measurement as a document: host facts, tables, charts and raw samples; written
 * as JSON, as Markdown, and as one HTML file that needs nothing else (html.c).
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "tools/measure/host.h"
#include "tools/measure/series.h"

struct err;
struct json_t; /* jansson's */

#define TABLE_COLUMNS  9u
#define TABLE_ROWS     64u
#define REPORT_TABLES  8u
#define REPORT_CHARTS  8u
#define CHART_SERIES   10u
#define CHART_BARS     10u
#define CHART_SEGMENTS 9u

struct table {
	const char *title;
	const char *note;		    /* a paragraph under it; NULL: none */
	const char *columns[TABLE_COLUMNS]; /* NULL after the last one */
	unsigned int nrows;
	char *cells[TABLE_ROWS][TABLE_COLUMNS]; /* owned; NULL: empty */
};

enum chart_kind {
	CHART_CDF, /* of each series: which part of the samples is not above x; x logarithmic */
	CHART_STACK, /* bars of segments, one after the other */
	CHART_LINES, /* each series over x, both logarithmic */
};

struct chart {
	enum chart_kind kind;
	const char *title, *note;
	const char *x_label, *y_label;
	unsigned int nseries; /* CDF, LINES */
	const struct series *series[CHART_SERIES];
	const struct series *x;	       /* LINES: the x of every value of every series */
	unsigned int nbars, nsegments; /* STACK */
	const char *bars[CHART_BARS], *segments[CHART_SEGMENTS];
	double values[CHART_BARS][CHART_SEGMENTS];
};

struct report {
	const char *title;
	const char *verdict; /* the last line; NULL: none */
	struct host_facts host;
	struct series_list series;
	unsigned int ntables, ncharts;
	struct table tables[REPORT_TABLES];
	struct chart charts[REPORT_CHARTS];
	struct json_t *extra; /* keys of the JSON beside host and series; may be NULL */
};

/* All but the title may be zero before; report_fini frees what was added. */
void report_init(struct report *r, const char *title);
void report_fini(struct report *r);

/* A new row; a cell of it. Rows and tables beyond the limits are asserted against. */
unsigned int table_row(struct table *t);
void table_cell(struct table *t, unsigned int row, unsigned int column, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
struct table *report_table(struct report *r, const char *title);
struct chart *report_chart(struct report *r, enum chart_kind kind, const char *title);

/* A table of p50, p90, p99 and max of all series that are in microseconds ("..._us"). */
void report_latencies(struct report *r);

/* Host facts, extra, and of every series its percentiles and its raw samples. New reference. */
struct json_t *report_json(const struct report *r);
/* Tables in Markdown; the verdict is the last line. */
void report_markdown(const struct report *r, FILE *to);
/* html.c */
void report_html(const struct report *r, FILE *to);

/*
 * report_write - results.json, table.md and report.html in the directory @dir, which is made.
 * Errors: what the file system says.
 */
int report_write(const struct report *r, const char *dir, struct err *err);
