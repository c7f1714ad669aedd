/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/histogram.h"

#include <inttypes.h>

#include "engine/util.h"

void histogram_add(struct histogram *h, nsec_t took)
{
	uint64_t us = took / NSEC_PER_USEC;
	/* The first power of two that is not less: 2^k for up to 2^k us. */
	unsigned int k = us <= 1 ? 0 : 64u - (unsigned int)__builtin_clzll(us - 1);

	h->counts[MIN(k, HISTOGRAM_BUCKETS - 1)]++;
	h->sum += took;
}

void histogram_print(const struct histogram *h, FILE *to, const char *name, const char *labels)
{
	uint64_t n = 0;

	for (unsigned int k = 0; k < HISTOGRAM_BUCKETS - 1; k++) {
		n += h->counts[k];
		fprintf(to, "%s_bucket{%s,le=\"%.6f\"} %" PRIu64 "\n", name, labels,
			(double)(UINT64_C(1) << k) / 1e6, n);
	}
	n += h->counts[HISTOGRAM_BUCKETS - 1];
	fprintf(to, "%s_bucket{%s,le=\"+Inf\"} %" PRIu64 "\n", name, labels, n);
	fprintf(to, "%s_sum{%s} %.9f\n", name, labels, (double)h->sum / 1e9);
	fprintf(to, "%s_count{%s} %" PRIu64 "\n", name, labels, n);
}
