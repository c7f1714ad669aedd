/* SPDX-License-Identifier: Apache-2.0 */
/* manager_metrics.c - what there is to be seen of a manager, as Prometheus reads it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/thawd/manager_state.h"

/* clang-format off */
static const struct { const char *name, *help; } counts[FUNCTION_COUNTS] = {
	[FUNCTION_ANSWERED]  = { "invocations_answered", "Invocations that got a reply." },
	[FUNCTION_FAILED]    = { "invocations_failed", "Invocations whose machine died." },
	[FUNCTION_TIMED_OUT] = { "invocations_timed_out", "Invocations that did not end in time." },
	[FUNCTION_REFUSED]   = { "invocations_refused", "Invocations that got no machine." },
	[FUNCTION_STARTED]   = { "machines_started", "Machines that were started." },
	[FUNCTION_USED]      = { "machines_used", "Machines that got an invocation." },
	[FUNCTION_REWOUND]   = { "machines_rewound", "Rewinds between two invocations." },
	[FUNCTION_POISONED]  = { "machines_poisoned", "Machines given up as not to be trusted." },
}, times[FUNCTION_TIMES] = {
	[TIME_QUEUE]    = { "queue_seconds", "From arrival to a machine." },
	[TIME_RESPONSE] = { "response_seconds", "From the machine's event to its reply." },
	[TIME_REWIND]   = { "rewind_seconds", "Rewinds, at release." },
	[TIME_TOTAL]    = { "total_seconds", "From the request's headers to the reply." },
};
/* clang-format on */

#define LABELS_SIZE (NAMES_FUNCTION_SIZE + NAMES_QUALIFIER_SIZE + 32)

static void labels(const struct function *f, char text[LABELS_SIZE])
{
	snprintf(text, LABELS_SIZE, "function=\"%s\",version=\"%s\"", f->record.name,
		 f->version);
}

static void print_head(FILE *to, const char *name, const char *help, const char *type)
{
	fprintf(to, "# HELP thawd_%s %s\n# TYPE thawd_%s %s\n", name, help, name, type);
}

static void print_counts(const struct manager *m, FILE *to)
{
	char text[LABELS_SIZE], name[64];

	for (unsigned int i = 0; i < FUNCTION_COUNTS; i++) {
		snprintf(name, sizeof(name), "%s_total", counts[i].name);
		print_head(to, name, counts[i].help, "counter");
		for (const struct function *f = m->functions; f; f = f->next) {
			labels(f, text);
			fprintf(to, "thawd_%s{%s} %" PRIu64 "\n", name, text, f->counts[i]);
		}
	}
}

static void print_times(const struct manager *m, FILE *to)
{
	char text[LABELS_SIZE], name[64];

	for (unsigned int i = 0; i < FUNCTION_TIMES; i++) {
		print_head(to, times[i].name, times[i].help, "histogram");
		snprintf(name, sizeof(name), "thawd_%s", times[i].name);
		for (const struct function *f = m->functions; f; f = f->next) {
			labels(f, text);
			histogram_print(&f->times[i], to, name, text);
		}
	}
}

static void print_slots(const struct manager *m, FILE *to)
{
	char text[LABELS_SIZE];

	print_head(to, "machines", "Machines by what they do.", "gauge");
	for (const struct function *f = m->functions; f; f = f->next) {
		struct policy_counts c;

		if (f->state != FUNCTION_READY)
			continue;
		c = policy_count(m->policy, f->number);
		labels(f, text);
		fprintf(to, "thawd_machines{%s,state=\"starting\"} %u\n", text, c.starting);
		fprintf(to, "thawd_machines{%s,state=\"idle\"} %u\n", text, c.idle);
		fprintf(to, "thawd_machines{%s,state=\"busy\"} %u\n", text, c.busy);
		fprintf(to, "thawd_machines{%s,state=\"rewinding\"} %u\n", text, c.rewinding);
	}
	print_head(to, "queued", "Invocations that wait for a machine.", "gauge");
	for (const struct function *f = m->functions; f; f = f->next) {
		labels(f, text);
		fprintf(to, "thawd_queued{%s} %u\n", text,
			f->state == FUNCTION_READY ? policy_count(m->policy, f->number).queued
						   : f->nwaiting);
	}
}

char *manager_metrics(const struct manager *m, size_t *len)
{
	char *text = NULL;
	FILE *to = open_memstream(&text, len);

	if (!to)
		return NULL;
	print_counts(m, to);
	print_times(m, to);
	print_slots(m, to);
	print_head(to, "memory_bytes", "Memory that machines count with.", "gauge");
	fprintf(to, "thawd_memory_bytes %" PRIu64 "\n", policy_count_all(m->policy).memory);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
