/* SPDX-License-Identifier: Apache-2.0 */
/* manager_metrics.c - what there is to be seen of a manager, as Prometheus reads it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/manager_state.h"
#include "tools/thawd/queue.h"

/* clang-format off */
static const struct { const char *name, *help; } counts[FUNCTION_COUNTS] = {
	[FUNCTION_ANSWERED]  = { "invocations_answered", "Invocations that got a reply." },
	[FUNCTION_FAILED]    = { "invocations_failed", "Invocations whose machine died." },
	[FUNCTION_TIMED_OUT] = { "invocations_timed_out", "Invocations that did not end in time." },
	[FUNCTION_REFUSED]   = { "invocations_refused", "Invocations that got no machine." },
	[FUNCTION_STARTED]   = { "machines_started", "Machines that were started." },
	[FUNCTION_USED]      = { "machines_used", "Machines that got an invocation." },
	[FUNCTION_REWOUND]   = { "machines_rewound", "Rewinds between two invocations." },
	[FUNCTION_DESTROYED] = { "machines_destroyed", "Machines that were ended." },
	[FUNCTION_POISONED]  = { "machines_poisoned", "Machines given up as not to be trusted." },
}, times[FUNCTION_TIMES] = {
	[TIME_QUEUE]    = { "queue_seconds", "From arrival to a machine." },
	[TIME_RESPONSE] = { "response_seconds", "From the machine's event to its reply." },
	[TIME_REWIND]   = { "rewind_seconds", "Rewinds, at release." },
	[TIME_TOTAL]    = { "total_seconds", "From arrival to the reply." },
	[TIME_SHELL]    = { "stamp_shell_seconds", "From the start to an empty machine." },
	[TIME_MEMORY]   = { "stamp_memory_seconds", "From the start to its memory." },
	[TIME_STATE]    = { "stamp_state_seconds", "From the start to its state." },
	[TIME_FIRST_INSTRUCTION] = { "stamp_first_instruction_seconds",
		"From the start, or the event after a rewind, to the guest's first instruction." },
	[TIME_FIRST_RESPONSE] = { "stamp_first_response_seconds",
		"From the start, or the event after a rewind, to the reply." },
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

static const struct {
	const char *name, *help;
	size_t off; /* in struct thaw_rewinds */
} rewinds[] = {
	{ "rewind_pages_compared", "Pages that rewinds looked at.",
	  offsetof(struct thaw_rewinds, pages_compared) },
	{ "rewind_pages_copied", "Pages that rewinds put back.",
	  offsetof(struct thaw_rewinds, pages_copied) },
	{ "rewind_pages_given_back", "Pages that rewinds gave back.",
	  offsetof(struct thaw_rewinds, pages_given_back) },
	{ "rewind_flushes", "Rewinds that flushed translations.",
	  offsetof(struct thaw_rewinds, flushes) },
	{ "rewind_full_loads", "Rewinds that loaded all of the state.",
	  offsetof(struct thaw_rewinds, full_loads) },
	{ "rewind_searches", "Rewinds that looked at all of the memory.",
	  offsetof(struct thaw_rewinds, searches) },
};

/* Of slots that are there and of those that were. */
static struct thaw_rewinds sum_rewinds(const struct manager *m, const struct function *f)
{
	struct thaw_rewinds sum = f->rewinds;

	for (uint32_t i = 0; f->nslots > 0 && i < m->config.limits.slots; i++) {
		if (m->workers[i].function == f && m->workers[i].slot)
			workers_rewinds(&sum, m->workers[i].slot);
	}
	return sum;
}

static void print_rewinds(const struct manager *m, FILE *to)
{
	char text[LABELS_SIZE], name[64];

	for (size_t i = 0; i < ARRAY_SIZE(rewinds); i++) {
		snprintf(name, sizeof(name), "%s_total", rewinds[i].name);
		print_head(to, name, rewinds[i].help, "counter");
		for (const struct function *f = m->functions; f; f = f->next) {
			const struct thaw_rewinds sum = sum_rewinds(m, f);
			uint64_t value;

			memcpy(&value, (const uint8_t *)&sum + rewinds[i].off, sizeof(value));
			labels(f, text);
			fprintf(to, "thawd_%s{%s} %" PRIu64 "\n", name, text, value);
		}
	}
}

static void print_one(FILE *to, const char *name, const char *help, const char *type,
		      uint64_t value)
{
	print_head(to, name, help, type);
	fprintf(to, "thawd_%s %" PRIu64 "\n", name, value);
}

static void print_events(const struct manager *m, FILE *to)
{
	struct queue_stats s;

	queue_stats(m->config.queue, &s);
	print_one(to, "events", "Events that were accepted and are not handled.", "gauge",
		  s.events);
	print_one(to, "events_accepted_total", "Events that were accepted.", "counter",
		  s.accepted);
	print_one(to, "events_done_total", "Events that were handled.", "counter", s.done);
	print_one(to, "events_failed_total", "Tries of events that failed.", "counter",
		  s.failed);
	print_one(to, "events_dead_total", "Events that were given up.", "counter", s.dead);
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
	print_rewinds(m, to);
	print_events(m, to);
	print_one(to, "memory_bytes", "Memory that machines count with.", "gauge",
		  policy_count_all(m->policy).memory);
	if (fclose(to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
