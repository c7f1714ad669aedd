/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/look_table.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MIN   16		  /* ours: before columns go */
#define NAME_USUAL 24		  /* ours: where there is room, it does not jump */
#define ELLIPSIS   "\xe2\x80\xa6" /* one column wide */
#define CELL_SIZE  32u
#define NAME_SIZE  (2 * sizeof(((struct look_function *)0)->name))

enum kind { RATE, ERRORS, P50, P99, MACHINES, QUEUED };

struct column {
	const char *group, *title;
	int width;
	enum kind kind;
	unsigned int of;   /* enum look_time or look_machine */
	unsigned int rank; /* 1: goes first where there is no room, and so on */
};

/* clang-format off */
static const struct column columns[] = {
	{ "",         "/s",     8, RATE,     0,             13 },
	{ "",         "ERR/s",  7, ERRORS,   0,              9 },
	{ "QUEUE",    "p50",    8, P50,      LOOK_QUEUE,     3 },
	{ "QUEUE",    "p99",    8, P99,      LOOK_QUEUE,     6 },
	{ "RESPONSE", "p50",    8, P50,      LOOK_RESPONSE, 10 },
	{ "RESPONSE", "p99",    8, P99,      LOOK_RESPONSE, 12 },
	{ "REWIND",   "p50",    8, P50,      LOOK_REWIND,    1 },
	{ "REWIND",   "p99",    8, P99,      LOOK_REWIND,    2 },
	{ "MACHINES", "START",  5, MACHINES, LOOK_STARTING,  4 },
	{ "MACHINES", "IDLE",   5, MACHINES, LOOK_IDLE,      7 },
	{ "MACHINES", "BUSY",   5, MACHINES, LOOK_BUSY,      8 },
	{ "MACHINES", "REW",    5, MACHINES, LOOK_REWINDING, 5 },
	{ "",         "QUEUED", 6, QUEUED,   0,             11 },
};
/* clang-format on */

/* Which columns are shown, a bit each, and how wide the first one is, of names. */
struct layout {
	unsigned int shown;
	int name;
};

/* ---- layout ---- */

/* As invoke takes it. */
static void make_name(char name[NAME_SIZE], const struct look_function *f)
{
	bool is_latest = strcmp(f->version, "$LATEST") == 0;

	snprintf(name, NAME_SIZE, "%s%s%s", f->name, is_latest ? "" : ":",
		 is_latest ? "" : f->version);
}

static int longest_name(const struct look *now)
{
	size_t longest = NAME_USUAL;

	for (size_t i = 0; i < now->n; i++) {
		char name[NAME_SIZE];

		make_name(name, &now->functions[i]);
		longest = MAX(longest, strlen(name));
	}
	return (int)longest;
}

static struct layout lay_out(const struct look *now, int room)
{
	struct layout l = { .name = longest_name(now) };
	int width = 0;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		l.shown |= 1u << i;
		width += 1 + columns[i].width;
	}
	for (unsigned int rank = 1; rank <= ARRAY_SIZE(columns); rank++) {
		for (size_t i = 0; i < ARRAY_SIZE(columns) && width + NAME_MIN > room; i++) {
			if (columns[i].rank != rank)
				continue;
			l.shown &= ~(1u << i);
			width -= 1 + columns[i].width;
		}
	}
	l.name = MAX(MIN(l.name, room - width), 1);
	return l;
}

/* ---- cells ---- */

static void print_cut(FILE *to, const char *text, int room)
{
	int len = (int)strlen(text);

	if (len <= room)
		fputs(text, to);
	else
		fprintf(to, "%.*s" ELLIPSIS, MAX(room - 1, 0), text);
}

static void print_name(FILE *to, const char *name, int width)
{
	print_cut(to, name, width);
	fprintf(to, "%*s", MAX(width - (int)strlen(name), 0), "");
}

static void duration(char text[CELL_SIZE], double seconds)
{
	double us = seconds * 1e6;

	if (isnan(us))
		snprintf(text, CELL_SIZE, "-");
	else if (us < 1e4)
		snprintf(text, CELL_SIZE, "%.0fus", us);
	else if (us < 1e7)
		snprintf(text, CELL_SIZE, "%.1fms", us / 1e3);
	else
		snprintf(text, CELL_SIZE, "%.1fs", us / 1e6);
}

/* A number that is too long for its column is told by its size. */
static void number(char text[CELL_SIZE], double value, int digits, int width)
{
	if (snprintf(text, CELL_SIZE, "%.*f", digits, value) > width)
		snprintf(text, CELL_SIZE, "%.0e", value);
}

static void print_cell(FILE *to, const struct column *col, const struct look_change *c)
{
	const struct look_function *f = c->function;
	char text[CELL_SIZE] = "";

	switch (col->kind) {
	case RATE:
		number(text, c->invocations_per_s, 1, col->width);
		break;
	case ERRORS:
		number(text, c->errors_per_s, 1, col->width);
		break;
	case P50:
		duration(text, c->times[col->of].p50_s);
		break;
	case P99:
		duration(text, c->times[col->of].p99_s);
		break;
	case MACHINES:
		number(text, f->machines[col->of], 0, col->width);
		break;
	case QUEUED:
		number(text, f->queued, 0, col->width);
		break;
	}
	fprintf(to, " %*.*s", col->width, col->width, text);
}

/* ---- lines ---- */

/* The next one that is shown, or as many as there are. */
static size_t next(const struct layout *l, size_t i)
{
	do
		i++;
	while (i < ARRAY_SIZE(columns) && !(l->shown & 1u << i));
	return i;
}

/* What stands over several columns is at the right end of them. */
static void print_groups(FILE *to, const struct layout *l)
{
	int width = 0;

	fprintf(to, "%*s", l->name, "");
	for (size_t i = next(l, SIZE_MAX), after; i < ARRAY_SIZE(columns); i = after) {
		after = next(l, i);
		width += 1 + columns[i].width;
		if (after < ARRAY_SIZE(columns) &&
		    strcmp(columns[i].group, columns[after].group) == 0)
			continue;
		fprintf(to, " %*.*s", width - 1, width - 1, columns[i].group);
		width = 0;
	}
	putc('\n', to);
}

static void print_titles(FILE *to, const struct layout *l)
{
	print_name(to, "FUNCTION", l->name);
	for (size_t i = next(l, SIZE_MAX); i < ARRAY_SIZE(columns); i = next(l, i))
		fprintf(to, " %*s", columns[i].width, columns[i].title);
	putc('\n', to);
}

static void print_function(FILE *to, const struct layout *l, const struct look_change *c)
{
	char name[NAME_SIZE];

	make_name(name, c->function);
	print_name(to, name, l->name);
	for (size_t i = next(l, SIZE_MAX); i < ARRAY_SIZE(columns); i = next(l, i))
		print_cell(to, &columns[i], c);
	putc('\n', to);
}

static void print_totals(FILE *to, const char *at, const struct look *now,
			 const struct look_change *changes, int room)
{
	double invocations = 0, errors = 0, machines = 0, queued = 0;
	char text[256];
	int len;

	for (size_t i = 0; i < now->n; i++) {
		invocations += changes[i].invocations_per_s;
		errors += changes[i].errors_per_s;
		queued += changes[i].function->queued;
		for (size_t k = 0; k < LOOK_MACHINES; k++)
			machines += changes[i].function->machines[k];
	}
	len = snprintf(text, sizeof(text),
		       "%.1f/s, %.1f errors/s, %.0f queued, %.0f machines, %.1f MiB",
		       invocations, errors, queued, machines, now->memory_bytes / (1 << 20));
	/* Where thawd is, is known to who asked. */
	if (room - len > NAME_MIN) {
		print_cut(to, at, room - len - 2);
		fputs(": ", to);
	}
	print_cut(to, text, room);
	putc('\n', to);
}

void look_table(FILE *to, const char *at, const struct look *now,
		const struct look_change *changes, unsigned int columns_max)
{
	int room = columns_max ? (int)MIN(columns_max, 10000u) : 10000;
	struct layout l = lay_out(now, room);

	print_totals(to, at, now, changes, room);
	putc('\n', to);
	print_groups(to, &l);
	print_titles(to, &l);
	for (size_t i = 0; i < now->n; i++)
		print_function(to, &l, &changes[i]);
}
