/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/svg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"

/* Pixels. The plot lies inside these margins; the legend is right of it. */
#define WIDTH	    960.0
#define HEIGHT	    360.0
#define LEFT	    76.0
#define RIGHT	    290.0
#define TOP	    14.0
#define BOTTOM	    46.0
#define PLOT_W	    (WIDTH - LEFT - RIGHT)
#define PLOT_H	    (HEIGHT - TOP - BOTTOM)
#define BAR_H	    26.0
#define BAR_STEP    40.0
#define BAR_LEFT    170.0 /* room for the names of bars */
#define CDF_POINTS  200u  /* of a curve: more would not be seen */
#define LEGEND_X    (WIDTH - RIGHT + 18)
#define LEGEND_STEP 19.0

/* One axis: values from @low to @high on @pixels pixels that begin at @from. */
struct axis {
	double low, high, from, pixels;
	int logarithmic;
};

static double axis_at(const struct axis *a, double value)
{
	double low = a->low, high = a->high;

	if (a->logarithmic) {
		value = log10(MAX(value, low));
		low = log10(low);
		high = log10(high);
	}
	return a->from + (high > low ? (value - low) / (high - low) : 0.5) * a->pixels;
}

void svg_text(const char *text, FILE *to)
{
	static const char *const names[128] = {
		['&'] = "&amp;", ['<'] = "&lt;", ['>'] = "&gt;", ['"'] = "&quot;"
	};

	for (; text && *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 128 && names[c])
			fputs(names[c], to);
		else
			putc(c, to);
	}
}

static void label(FILE *to, double x, double y, const char *class, const char *text)
{
	fprintf(to, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, class);
	svg_text(text, to);
	fprintf(to, "</text>\n");
}

static void legend(FILE *to, unsigned int i, const char *text)
{
	double y = TOP + 12 + i * LEGEND_STEP;

	fprintf(to,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"12\" height=\"12\" class=\"f c%u\"/>\n",
		LEGEND_X, y - 10, i % SVG_COLOURS);
	label(to, LEGEND_X + 18, y, "s", text);
}

static void grid_line(FILE *to, const struct axis *a, double value, int vertical)
{
	double at = axis_at(a, value);
	char text[32];

	snprintf(text, sizeof(text), "%g", value);
	if (vertical) {
		fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", at,
			TOP, at, HEIGHT - BOTTOM);
		label(to, at, HEIGHT - BOTTOM + 16, "m", text);
	} else {
		fprintf(to, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", LEFT,
			at, LEFT + PLOT_W, at);
		label(to, LEFT - 6, at + 4, "e", text);
	}
}

/* 1, 2, 5, 10, ... on a logarithmic axis; only powers of ten where that would be too many. */
static void grid_log(FILE *to, const struct axis *a, int vertical)
{
	static const double steps[] = { 1, 2, 5 };
	size_t n = a->high / a->low > 2000 ? 1 : ARRAY_SIZE(steps);
	int last = (int)floor(log10(a->high));

	for (int power = (int)floor(log10(a->low)); power <= last; power++) {
		for (size_t i = 0; i < n; i++) {
			double ten = pow(10, power);

			if (ten * steps[i] >= a->low && ten * steps[i] <= a->high)
				grid_line(to, a, ten * steps[i], vertical);
		}
	}
}

/* At most ten round steps from 0. */
static void grid_linear(FILE *to, const struct axis *a, int vertical)
{
	double step = pow(10, floor(log10(a->high)));

	if (a->high / step < 2)
		step /= 5;
	else if (a->high / step < 5)
		step /= 2;
	for (int i = 0; i <= (int)(a->high / step * 1.0001); i++)
		grid_line(to, a, i * step, vertical);
}

static void axis_names(const struct chart *c, FILE *to)
{
	label(to, LEFT + PLOT_W / 2, HEIGHT - 8, "m", c->x_label);
	fprintf(to, "<text transform=\"translate(14 %.1f) rotate(-90)\" class=\"m\">",
		TOP + PLOT_H / 2);
	svg_text(c->y_label, to);
	fprintf(to, "</text>\n");
}

/* Make [low, high] hold every positive value. */
static void widen(const struct series *s, double *low, double *high)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->values[i] <= 0)
			continue;
		if (*low <= 0 || s->values[i] < *low)
			*low = s->values[i];
		*high = MAX(*high, s->values[i]);
	}
}

static void cdf_curve(const struct series *s, unsigned int colour, const struct axis *x,
		      const struct axis *y, FILE *to)
{
	auto_free double *sorted = malloc((s->n + 1) * sizeof(*sorted));
	size_t points = MIN(s->n, (size_t)CDF_POINTS);

	if (!sorted || s->n == 0)
		return;
	memcpy(sorted, s->values, s->n * sizeof(*sorted));
	stats_sort(sorted, s->n);
	fprintf(to, "<polyline class=\"l c%u\" points=\"%.1f,%.1f", colour % SVG_COLOURS,
		axis_at(x, sorted[0]), axis_at(y, 0));
	for (size_t i = 0; i <= points; i++) {
		size_t rank = MIN(i * s->n / points, s->n - 1);

		fprintf(to, " %.1f,%.1f", axis_at(x, sorted[rank]),
			axis_at(y, 100.0 * (double)(rank + 1) / (double)s->n));
	}
	fprintf(to, "\"/>\n");
}

static int cdf(const struct chart *c, FILE *to)
{
	struct axis x = { .from = LEFT, .pixels = PLOT_W, .logarithmic = 1 };
	struct axis y = { .low = 0, .high = 100, .from = HEIGHT - BOTTOM, .pixels = -PLOT_H };
	unsigned int shown = 0;

	for (unsigned int i = 0; i < c->nseries; i++)
		widen(c->series[i], &x.low, &x.high);
	if (x.low <= 0)
		return 0;
	fprintf(to, "<svg viewBox=\"0 0 %.0f %.0f\">\n", WIDTH, HEIGHT);
	grid_log(to, &x, 1);
	grid_linear(to, &y, 0);
	for (unsigned int i = 0; i < c->nseries; i++) {
		if (c->series[i]->n == 0)
			continue;
		cdf_curve(c->series[i], shown, &x, &y, to);
		legend(to, shown++, c->series[i]->label);
	}
	axis_names(c, to);
	fprintf(to, "</svg>\n");
	return 1;
}

static int lines(const struct chart *c, FILE *to)
{
	struct axis x = { .from = LEFT, .pixels = PLOT_W, .logarithmic = 1 };
	struct axis y = { .from = HEIGHT - BOTTOM, .pixels = -PLOT_H, .logarithmic = 1 };

	widen(c->x, &x.low, &x.high);
	for (unsigned int i = 0; i < c->nseries; i++)
		widen(c->series[i], &y.low, &y.high);
	if (x.low <= 0 || y.low <= 0)
		return 0;
	fprintf(to, "<svg viewBox=\"0 0 %.0f %.0f\">\n", WIDTH, HEIGHT);
	grid_log(to, &x, 1);
	grid_log(to, &y, 0);
	for (unsigned int i = 0; i < c->nseries; i++) {
		const struct series *s = c->series[i];

		fprintf(to, "<polyline class=\"l c%u\" points=\"", i % SVG_COLOURS);
		for (size_t k = 0; k < MIN(s->n, c->x->n); k++)
			fprintf(to, "%.1f,%.1f ", axis_at(&x, c->x->values[k]),
				axis_at(&y, s->values[k]));
		fprintf(to, "\"/>\n");
		legend(to, i, s->label);
	}
	axis_names(c, to);
	fprintf(to, "</svg>\n");
	return 1;
}

static double bar_length(const struct chart *c, unsigned int bar)
{
	double sum = 0;

	for (unsigned int i = 0; i < c->nsegments; i++)
		sum += c->values[bar][i];
	return sum;
}

static void stack_bar(const struct chart *c, unsigned int bar, double pixels_per_unit, FILE *to)
{
	double x = BAR_LEFT, y = TOP + bar * BAR_STEP;
	char text[48];

	label(to, BAR_LEFT - 8, y + BAR_H / 2 + 4, "e", c->bars[bar]);
	for (unsigned int i = 0; i < c->nsegments; i++) {
		double w = c->values[bar][i] * pixels_per_unit;

		fprintf(to,
			"<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.0f\" "
			"class=\"f c%u\"><title>",
			x, y, MAX(w, 0.0), BAR_H, i % SVG_COLOURS);
		svg_text(c->segments[i], to);
		fprintf(to, ": %.1f</title></rect>\n", c->values[bar][i]);
		x += MAX(w, 0.0);
	}
	snprintf(text, sizeof(text), "%.1f", bar_length(c, bar));
	label(to, x + 6, y + BAR_H / 2 + 4, "s", text);
}

static int stack(const struct chart *c, FILE *to)
{
	double height = MAX(TOP + c->nbars * BAR_STEP, TOP + c->nsegments * LEGEND_STEP) + 24;
	double room = WIDTH - RIGHT - BAR_LEFT - 60, longest = 0;

	for (unsigned int i = 0; i < c->nbars; i++)
		longest = MAX(longest, bar_length(c, i));
	if (longest <= 0)
		return 0;
	fprintf(to, "<svg viewBox=\"0 0 %.0f %.0f\">\n", WIDTH, height);
	for (unsigned int i = 0; i < c->nbars; i++)
		stack_bar(c, i, room / longest, to);
	for (unsigned int i = 0; i < c->nsegments; i++)
		legend(to, i, c->segments[i]);
	label(to, BAR_LEFT, height - 6, "s", c->x_label);
	fprintf(to, "</svg>\n");
	return 1;
}

void svg_chart(const struct chart *c, FILE *to)
{
	int shown = 0;

	switch (c->kind) {
	case CHART_CDF:
		shown = cdf(c, to);
		break;
	case CHART_STACK:
		shown = stack(c, to);
		break;
	case CHART_LINES:
		shown = lines(c, to);
		break;
	}
	if (!shown)
		fprintf(to, "<p>Nothing was measured for this chart.</p>\n");
}
