/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/metrics.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

#define NAME_LETTERS                                                                           \
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"                                 \
	"0123456789_:"

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* A name at @at, into @name. Returns what follows it; NULL: there is none, or no room. */
static const char *take_name(const char *at, char *name, size_t size)
{
	size_t len = strspn(at, NAME_LETTERS);

	if (len == 0 || len >= size)
		return NULL;
	memcpy(name, at, len);
	name[len] = '\0';
	return at + len;
}

/* "VALUE", with \\, \" and \n in it. */
static const char *take_quoted(const char *at, char *value, size_t size)
{
	size_t n = 0;

	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		bool is_escaped = *at == '\\';

		at += is_escaped;
		if (*at == '\0' || *at == '\n' || n + 1 >= size)
			return NULL;
		value[n++] = *at;
		if (is_escaped && *at == 'n')
			value[n - 1] = '\n';
	}
	value[n] = '\0';
	return at + 1;
}

/* name="value",... up to the brace, which is passed, too. */
static const char *take_labels(struct metric *m, const char *at)
{
	at = skip_blanks(at);
	while (*at != '}') {
		struct metric_label *l = &m->labels[m->nlabels];

		if (m->nlabels == METRICS_LABELS)
			return NULL;
		at = take_name(at, l->name, sizeof(l->name));
		if (!at || *at != '=')
			return NULL;
		at = take_quoted(at + 1, l->value, sizeof(l->value));
		if (!at || (*at != ',' && *at != '}'))
			return NULL;
		at = skip_blanks(at + (*at == ','));
		m->nlabels++;
	}
	return at + 1;
}

/* All of a line. Returns where it ends; NULL: it is no sample. */
static const char *take_sample(struct metric *m, const char *at)
{
	char *end;

	m->nlabels = 0;
	at = take_name(at, m->name, sizeof(m->name));
	if (at && *at == '{')
		at = take_labels(m, at + 1);
	if (!at || (*at != ' ' && *at != '\t'))
		return NULL;
	at = skip_blanks(at);
	if (*at == '\n')
		return NULL; /* strtod would look for a number in the next line */
	m->value = strtod(at, &end);
	if (end == at)
		return NULL;
	/* A time, in milliseconds, may follow. */
	at = skip_blanks(end);
	at += strspn(at, "-0123456789");
	return *at == '\n' || *at == '\0' ? at : NULL;
}

int metrics_next(struct metric *m, const char **at, struct err *err)
{
	const char *line = *at;

	while (*line == '#' || *line == '\n') {
		line += strcspn(line, "\n");
		line += *line == '\n';
	}
	*at = line;
	if (*line == '\0')
		return 0;
	*at = take_sample(m, line);
	if (*at)
		return 1;
	*at = line;
	return err_set(err, EINVAL, "not a sample of metrics: %.*s", (int)strcspn(line, "\n"),
		       line);
}

const char *metrics_label(const struct metric *m, const char *name)
{
	for (size_t i = 0; i < m->nlabels; i++) {
		if (strcmp(m->labels[i].name, name) == 0)
			return m->labels[i].value;
	}
	return "";
}
