/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/samples.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

int samples_init(struct samples *s, uint32_t cap)
{
	*s = (struct samples){ .cap = cap, .all = calloc(cap, sizeof(*s->all)) };
	return s->all ? 0 : -ENOMEM;
}

void samples_fini(struct samples *s)
{
	free(s->all);
	*s = (struct samples){ 0 };
}

void samples_add(struct samples *s, const struct phases *p)
{
	if (s->n < s->cap)
		s->all[s->n++] = *p;
}

static int by_value(const void *a, const void *b)
{
	nsec_t x = *(const nsec_t *)a, y = *(const nsec_t *)b;

	return (x > y) - (x < y);
}

/* Nearest rank: the smallest value that at least @percent of all do not exceed. */
static nsec_t at_percent(const nsec_t *sorted, uint32_t n, uint32_t percent)
{
	uint64_t rank = ((uint64_t)n * percent + 99) / 100;

	return sorted[rank > 0 ? rank - 1 : 0];
}

struct percentiles samples_percentiles(const struct samples *s, enum phase phase)
{
	nsec_t *times = calloc(s->n > 0 ? s->n : 1, sizeof(*times));
	struct percentiles p = { 0 };

	if (!times)
		return p;
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->all[i].at[phase] != 0)
			times[p.n++] = s->all[i].at[phase] - s->all[i].at[PHASE_REQUEST];
	}
	if (p.n > 0) {
		qsort(times, p.n, sizeof(*times), by_value);
		p.p50 = at_percent(times, p.n, 50);
		p.p90 = at_percent(times, p.n, 90);
		p.p99 = at_percent(times, p.n, 99);
		p.max = times[p.n - 1];
	}
	free(times);
	return p;
}

static json_t *json_us(nsec_t ns)
{
	return json_real((double)ns / 1e3);
}

json_t *samples_json(const struct samples *s)
{
	json_t *stamps = json_object();

	for (int phase = PHASE_REQUEST + 1; phase < PHASE_COUNT; phase++) {
		struct percentiles p = samples_percentiles(s, (enum phase)phase);

		if (p.n == 0)
			continue;
		json_object_set_new(stamps, phase_names[phase],
				    json_pack("{so so so so}", "p50_us", json_us(p.p50),
					      "p90_us", json_us(p.p90), "p99_us",
					      json_us(p.p99), "max_us", json_us(p.max)));
	}
	return stamps;
}

void samples_print(const struct samples *s)
{
	fprintf(stderr, "%-18s %10s %10s %10s %10s   us since the request, %u starts\n",
		"stamp", "p50", "p90", "p99", "max", s->n);
	for (int phase = PHASE_REQUEST + 1; phase < PHASE_COUNT; phase++) {
		struct percentiles p = samples_percentiles(s, (enum phase)phase);

		if (p.n > 0)
			fprintf(stderr, "%-18s %10.1f %10.1f %10.1f %10.1f\n",
				phase_names[phase], (double)p.p50 / 1e3, (double)p.p90 / 1e3,
				(double)p.p99 / 1e3, (double)p.max / 1e3);
	}
}
