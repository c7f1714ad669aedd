/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/samples.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/util.h"
#include "tools/measure/stats.h"

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

struct percentiles samples_percentiles(const struct samples *s, enum phase phase)
{
	auto_free double *times = calloc(s->n > 0 ? s->n : 1, sizeof(*times));
	uint32_t n = 0;
	struct stats st;

	if (!times)
		return (struct percentiles){ 0 };
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->all[i].at[phase] != 0)
			times[n++] =
				(double)(s->all[i].at[phase] - s->all[i].at[PHASE_REQUEST]);
	}
	st = stats_of(times, n); /* whole nanoseconds: a double holds 104 days of them */
	return (struct percentiles){ .n = (uint32_t)st.n,
				     .p50 = (nsec_t)st.p50,
				     .p90 = (nsec_t)st.p90,
				     .p99 = (nsec_t)st.p99,
				     .max = (nsec_t)st.max };
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
