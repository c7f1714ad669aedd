/* SPDX-License-Identifier: Apache-2.0 */
/* html.c - a report as one file: style and charts are inside, and nothing is loaded. */
#include "tools/measure/svg.h"

/* clang-format off */
static const char style[] =
	"body{font:15px/1.5 system-ui,sans-serif;color:#1d2330;background:#fff;"
	"max-width:1080px;margin:2rem auto;padding:0 1rem}\n"
	"h1{font-size:1.6rem}h2{font-size:1.15rem;margin:2.2rem 0 .6rem}\n"
	"table{border-collapse:collapse;font-size:.87rem;width:100%}\n"
	"th,td{text-align:left;padding:.3rem .55rem;border-bottom:1px solid #dde2ea;"
	"vertical-align:top}\n"
	"th{background:#f3f5f9}\n"
	"td{font-variant-numeric:tabular-nums}\n"
	".verdict{font-weight:600;font-size:1.1rem}.note{color:#56607a;font-size:.87rem}\n"
	"svg{width:100%;height:auto;margin:.4rem 0}\n"
	"svg line{stroke:#e3e7ee}svg text{font:11.5px system-ui,sans-serif;fill:#3b4358}\n"
	"svg .m{text-anchor:middle}svg .e{text-anchor:end}svg .s{text-anchor:start}\n"
	"svg .l{fill:none;stroke-width:2;stroke:currentColor}svg .f{fill:currentColor}\n"
	/* Okabe and Ito's palette, told apart also by the colour-blind, and two greys */
	".c0{color:#0072b2}.c1{color:#d55e00}.c2{color:#009e73}.c3{color:#cc79a7}"
	".c4{color:#e69f00}.c5{color:#56b4e9}.c6{color:#7a5195}.c7{color:#c9b400}"
	".c8{color:#555f73}.c9{color:#a3acbd}\n";
/* clang-format on */

static void element(const char *name, const char *text, FILE *to)
{
	fprintf(to, "<%s>", name);
	svg_text(text, to);
	fprintf(to, "</%s>", name);
}

static void note(const char *text, FILE *to)
{
	if (!text)
		return;
	fprintf(to, "<p class=\"note\">");
	svg_text(text, to);
	fprintf(to, "</p>\n");
}

static void html_table(const struct table *t, FILE *to)
{
	unsigned int n = 0;

	element("h2", t->title, to);
	fprintf(to, "\n<table><tr>");
	for (; n < TABLE_COLUMNS && t->columns[n]; n++)
		element("th", t->columns[n], to);
	fprintf(to, "</tr>\n");
	for (unsigned int row = 0; row < t->nrows; row++) {
		fprintf(to, "<tr>");
		for (unsigned int i = 0; i < n; i++)
			element("td", t->cells[row][i], to);
		fprintf(to, "</tr>\n");
	}
	fprintf(to, "</table>\n");
	note(t->note, to);
}

static void html_host(const struct host_facts *h, FILE *to)
{
	const char *name, *text;

	element("h2", "Host", to);
	fprintf(to, "\n<table>");
	for (unsigned int i = 0; (name = host_fact(h, i, &text)) != NULL; i++) {
		fprintf(to, "<tr>");
		element("th", name, to);
		element("td", text, to);
		fprintf(to, "</tr>\n");
	}
	fprintf(to, "</table>\n");
}

void report_html(const struct report *r, FILE *to)
{
	fprintf(to, "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<title>");
	svg_text(r->title, to);
	fprintf(to, "</title>\n<style>\n%s</style>\n", style);
	element("h1", r->title, to);
	if (r->verdict) {
		fprintf(to, "\n<p class=\"verdict\">");
		svg_text(r->verdict, to);
		fprintf(to, "</p>");
	}
	fprintf(to, "\n");
	for (unsigned int i = 0; i < r->ntables; i++)
		html_table(&r->tables[i], to);
	for (unsigned int i = 0; i < r->ncharts; i++) {
		element("h2", r->charts[i].title, to);
		fprintf(to, "\n");
		svg_chart(&r->charts[i], to);
		note(r->charts[i].note, to);
	}
	html_host(&r->host, to);
	fprintf(to, "</html>\n");
}
