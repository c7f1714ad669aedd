/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/thawd/tally.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/util.h"
#include "tools/measure/stats.h"

#define FIRST_CAP 4096u /* ours; it doubles */

void tally_right(struct tally *t, nsec_t took)
{
	if (t->right == t->cap) {
		size_t cap = MAX(t->cap * 2, (size_t)FIRST_CAP);
		double *us = realloc(t->us, cap * sizeof(*us));

		if (!us)
			abort(); /* a run without its figures is none */
		t->us = us;
		t->cap = cap;
	}
	t->us[t->right++] = (double)took / 1e3;
}

void tally_error(struct tally *t, const char *name)
{
	size_t i = 0;

	t->errors++;
	while (i < TALLY_ERRORS - 1 && t->names[i].n > 0 && strcmp(t->names[i].name, name) != 0)
		i++;
	snprintf(t->names[i].name, sizeof(t->names[i].name), "%s", name);
	t->names[i].n++;
}

static json_t *names_json(const struct tally *t)
{
	json_t *doc = json_object();

	for (size_t i = 0; i < TALLY_ERRORS && t->names[i].n > 0; i++)
		json_object_set_new(doc, t->names[i].name,
				    json_integer((json_int_t)t->names[i].n));
	return doc;
}

json_t *tally_json(const struct tally *t, nsec_t took)
{
	struct stats s = stats_of(t->us, t->right);
	double seconds = (double)took / 1e9;

	return json_pack("{sI sI sI sI sI sI so sf sf sf sf sf sf}", "sent",
			 (json_int_t)t->sent, "right", (json_int_t)t->right, "errors",
			 (json_int_t)t->errors, "wrong", (json_int_t)t->wrong, "lost",
			 (json_int_t)t->lost, "stray", (json_int_t)t->stray, "error_names",
			 names_json(t), "seconds", seconds, "per_second",
			 (double)t->right / seconds, "p50_us", s.p50, "p90_us", s.p90, "p99_us",
			 s.p99, "max_us", s.max);
}

void tally_free(struct tally *t)
{
	free(t->us);
	t->us = NULL;
}
