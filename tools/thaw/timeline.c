/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/timeline.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "engine/err.h"

/* One start as text: each stamp since the request, and since the stamp before. */
static void write_text(const struct timeline *t, const struct samples *s, FILE *to)
{
	fprintf(to, "%s: tier %s (%s)\n", t->image, t->tier, t->why);
	for (uint32_t i = 0; i < s->n; i++) {
		const nsec_t *at = s->all[i].at;
		nsec_t last = at[PHASE_REQUEST];

		for (int p = PHASE_REQUEST + 1; p < PHASE_COUNT; p++) {
			if (at[p] == 0)
				continue;
			fprintf(to, "%10.1f us  +%9.1f  %s\n",
				(double)(at[p] - at[PHASE_REQUEST]) / 1e3,
				(double)(at[p] - last) / 1e3, phase_names[p]);
			last = at[p];
		}
	}
	if (t->emulated.max > 0)
		fprintf(to, "%10.0f     instructions of the guest's kernel emulated, p50\n",
			t->emulated.p50);
}

/* Complete events ("ph": "X") of the Trace Event Format; times in microseconds. */
static void add_events(json_t *events, const struct phases *p, uint32_t start)
{
	nsec_t last = p->at[PHASE_REQUEST];

	for (int i = PHASE_REQUEST + 1; i < PHASE_COUNT; i++) {
		if (p->at[i] == 0)
			continue;
		json_array_append_new(events, json_pack("{ss ss ss sf sf si si}", "name",
							phase_names[i], "cat", "start", "ph",
							"X", "ts", (double)last / 1e3, "dur",
							(double)(p->at[i] - last) / 1e3, "pid",
							1, "tid", (int)start + 1));
		last = p->at[i];
	}
}

static int write_trace(const struct timeline *t, const struct samples *s, FILE *to)
{
	json_t *events = json_array();
	json_t *doc;
	int ret;

	for (uint32_t i = 0; i < s->n; i++)
		add_events(events, &s->all[i], i);
	doc = json_pack("{so s{ss ss ss}}", "traceEvents", events, "otherData", "image",
			t->image, "tier", t->tier, "tier_reason", t->why);
	ret = json_dumpf(doc, to, JSON_COMPACT | JSON_REAL_PRECISION(10));
	json_decref(doc);
	return ret;
}

static int is_trace(const char *file)
{
	size_t len = strlen(file);

	return len >= 5 && strcmp(file + len - 5, ".json") == 0;
}

int timeline_write(const struct timeline *t, const struct samples *s, const char *file,
		   struct err *err)
{
	int ret = 0;
	FILE *to;

	if (!file) {
		write_text(t, s, stderr);
		return 0;
	}
	to = fopen(file, "we");
	if (!to)
		return err_sys(err, "%s", file);
	if (is_trace(file))
		ret = write_trace(t, s, to);
	else
		write_text(t, s, to);
	if (fclose(to) != 0 || ret != 0)
		return err_sys(err, "write %s", file);
	return 0;
}
