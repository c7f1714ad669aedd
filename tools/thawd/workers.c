/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c - slots of the policy: what it decided is done, and what became of that is told to it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define LOG "thawd"
#include "engine/err.h"
#include "engine/log.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/manager_state.h"

static void told(void *arg, unsigned int stream, const void *text, size_t len)
{
	struct worker *w = arg;

	(void)stream;
	tail_add(&w->tail, text, len);
	function_print(w->function, text, len);
}

__attribute__((format(printf, 2, 3))) static void tell(struct worker *w, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	told(w, 0, line, MIN((size_t)n, sizeof(line) - 1));
}

/* ---- the end of an invocation ---- */

static double ms_since(nsec_t from)
{
	return (double)(clock_monotonic() - from) / 1e6;
}

/* The lines that Lambda has for each invocation, which its users look for. */
static void report(struct worker *w, const struct invocation *inv)
{
	double ms = ms_since(inv->given);

	tell(w, "END RequestId: %s\n", inv->id);
	tell(w,
	     "REPORT RequestId: %s\tDuration: %.2f ms\tBilled Duration: %.0f ms\tMemory Size: "
	     "%" PRIu64 " MB%s%s\n",
	     inv->id, ms, ms + 0.999, machines_memory(w->function->kind) >> 20,
	     inv->trace ? "\ttraceparent: " : "", inv->trace ? inv->trace : "");
}

/* The worker's invocation has ended in @outcome, but for what was printed. */
static void finish(struct worker *w, struct outcome *outcome)
{
	struct invocation *inv = w->invocation;
	struct function *f = w->function;
	nsec_t now = clock_monotonic();

	report(w, inv);
	histogram_add(&f->times[TIME_RESPONSE], now - inv->given);
	histogram_add(&f->times[TIME_TOTAL], now - inv->arrived);
	outcome->log = w->tail.text;
	outcome->log_len = w->tail.len;
	outcome->executed_version = f->version;
	w->invocation = NULL;
	invocation_end(inv, outcome);
}

/* It failed with @ret, in the words of @why. */
static void fail(struct worker *w, int ret, const char *why)
{
	char message[sizeof(((struct err *)0)->text)];
	struct outcome o = { .function_error = "Unhandled", .message = message };

	if (ret == -THAW_TIMED_OUT) {
		w->function->counts[FUNCTION_TIMED_OUT]++;
		o.error_type = "Sandbox.Timedout";
		snprintf(message, sizeof(message), "Task timed out after %.2f seconds",
			 w->function->record.config.timeout_ms / 1e3);
	} else {
		w->function->counts[FUNCTION_FAILED]++;
		o.error_type = "Runtime.ExitError";
		snprintf(message, sizeof(message), "%s", why);
	}
	tell(w, "RequestId: %s Error: %s\n", w->invocation->id, message);
	log_line(LOG_INFO, LOG,
		 &(struct log_about){ w->function->record.name, w->invocation->id,
				      w->invocation->trace },
		 "%s", message);
	finish(w, &o);
}

/* ---- what a machine says ---- */

static uint32_t number_of(const struct worker *w)
{
	return (uint32_t)(w - w->m->workers);
}

static void poisoned(struct worker *w)
{
	w->function->counts[FUNCTION_POISONED]++;
	policy_poisoned(w->m->policy, number_of(w));
}

/* Of a start, or of the first event after a rewind. */
static void note_stamps(struct function *f, const struct thaw_slot *slot)
{
	struct thaw_stamps s;

	thaw_slot_stamps(slot, &s);
	const struct {
		enum function_time time;
		uint64_t at;
	} stamps[] = {
		{ TIME_SHELL, s.shell },
		{ TIME_MEMORY, s.memory },
		{ TIME_STATE, s.state },
		{ TIME_FIRST_INSTRUCTION, s.first_instruction },
		{ TIME_FIRST_RESPONSE, s.first_response },
	};

	for (size_t i = 0; i < ARRAY_SIZE(stamps); i++) {
		if (stamps[i].at > s.request)
			histogram_add(&f->times[stamps[i].time], stamps[i].at - s.request);
	}
}

static void hear_reply(struct worker *w)
{
	struct thaw_reply reply;
	struct thaw_err err;
	int ret = thaw_slot_wait(w->slot, &reply, &err);

	if (ret == -EAGAIN)
		return;
	w->state = WORKER_IDLE;
	if (ret == 0) {
		struct outcome o = { .body = reply.data, .len = reply.len };

		w->function->counts[FUNCTION_ANSWERED]++;
		if (!w->has_replied)
			note_stamps(w->function, w->slot);
		w->has_replied = true;
		finish(w, &o);
		policy_replied(w->m->policy, number_of(w));
		return;
	}
	fail(w, ret, err.text);
	poisoned(w);
}

static void hear_rewound(struct worker *w)
{
	struct thaw_err err;
	int ret = thaw_slot_settle(w->slot, &err);

	if (ret == -EAGAIN)
		return;
	w->state = WORKER_IDLE;
	if (ret < 0) {
		log_warn_of(w->function->record.name, "%s", err.text);
		poisoned(w);
		return;
	}
	w->has_replied = false;
	w->function->counts[FUNCTION_REWOUND]++;
	histogram_add(&w->function->times[TIME_REWIND], clock_monotonic() - w->since);
	policy_rewound(w->m->policy, number_of(w));
}

/* It died while nobody asked it for anything: nothing else can be heard from it then. */
static void hear_death(struct worker *w)
{
	loop_remove(w->m->config.loop, &w->watch);
	w->watch.fd = -1;
	log_info_of(w->function->record.name, "a machine's process ended");
	poisoned(w);
}

static int on_slot(struct loop_watch *watch, uint32_t events)
{
	struct worker *w = container_of(watch, struct worker, watch);

	(void)events;
	policy_tick(w->m->policy, clock_monotonic());
	if (w->state == WORKER_BUSY)
		hear_reply(w);
	else if (w->state == WORKER_REWINDING)
		hear_rewound(w);
	else
		hear_death(w);
	return 0;
}

/* ---- is it at work? ---- */

/* Of the thread that runs its vCPU, which is the first one of its process: running, or ready to? */
static bool is_at_work(pid_t pid)
{
	char path[32], text[64] = "";
	auto_close int fd = -1;
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* Who cannot be looked at keeps nobody from running. */
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return false;
	state = strrchr(text, ')'); /* of PID (NAME) STATE */
	return state && strncmp(state, ") R", 3) == 0;
}

static void look(const struct worker *w)
{
	if (w->slot && !is_at_work(thaw_slot_pid(w->slot)))
		policy_asleep(w->m->policy, number_of(w));
}

/* ---- what the policy decided ---- */

static void give(struct worker *w, struct invocation *inv)
{
	struct function *f = w->function;
	struct thaw_err err;
	int ret;

	/* Whoever asked has gone: what is not begun is not done. */
	if (!inv->call && !inv->event) {
		invocation_end(inv, &(struct outcome){ .error = AWS_SERVICE });
		policy_replied(w->m->policy, number_of(w));
		return;
	}
	inv->given = clock_monotonic();
	w->invocation = inv;
	w->tail.len = 0;
	f->counts[FUNCTION_USED] += !w->is_used;
	w->is_used = true;
	histogram_add(&f->times[TIME_QUEUE], inv->given - inv->arrived);
	tell(w, "START RequestId: %s Version: %s\n", inv->id, f->version);
	ret = thaw_slot_send(w->slot, inv->payload, inv->len, f->record.config.timeout_ms,
			     &err);
	if (ret == 0) {
		w->state = WORKER_BUSY;
		return;
	}
	fail(w, ret, err.text);
	poisoned(w);
}

static void rewind_slot(struct worker *w)
{
	struct thaw_err err;
	int ret = thaw_slot_rewind(w->slot, 0, &err);

	if (ret < 0) {
		log_warn_of(w->function->record.name, "%s", err.text);
		poisoned(w);
		return;
	}
	w->since = clock_monotonic();
	w->state = WORKER_REWINDING;
}

static void worker_started(struct worker *w)
{
	struct err err;

	w->watch = (struct loop_watch){ .fd = thaw_slot_fd(w->slot), .callback = on_slot };
	if (loop_add(w->m->config.loop, &w->watch, EPOLLIN, &err) < 0) {
		log_warn_of(w->function->record.name, "%s", err.text);
		w->watch.fd = -1;
		poisoned(w);
		return;
	}
	w->state = WORKER_IDLE;
	w->function->counts[FUNCTION_STARTED]++;
	policy_ready(w->m->policy, number_of(w));
}

static void try_start(struct worker *w)
{
	struct thaw_err err;
	int ret = machines_start(&w->slot, w->function->kind, told, w, &err);

	if (ret == 0) {
		worker_started(w);
	} else if (ret == -EAGAIN) {
		w->state = WORKER_WANTS_SHELL;
	} else {
		log_warn_of(w->function->record.name, "%s", err.text);
		poisoned(w);
	}
}

static void start(struct worker *w, struct function *f)
{
	*w = (struct worker){ .m = w->m, .function = f, .watch.fd = -1 };
	f->nslots++;
	try_start(w);
}

void workers_rewinds(struct thaw_rewinds *sum, const struct thaw_slot *slot)
{
	struct thaw_rewinds r;

	thaw_slot_rewinds(slot, &r);
	sum->rewinds += r.rewinds;
	sum->pages_compared += r.pages_compared;
	sum->pages_copied += r.pages_copied;
	sum->pages_given_back += r.pages_given_back;
	sum->flushes += r.flushes;
	sum->full_loads += r.full_loads;
	sum->searches += r.searches;
}

static void worker_close(struct worker *w)
{
	if (w->watch.fd >= 0)
		loop_remove(w->m->config.loop, &w->watch);
	if (w->slot) {
		workers_rewinds(&w->function->rewinds, w->slot);
		thaw_slot_close(w->slot);
	}
	*w = (struct worker){ .m = w->m, .watch.fd = -1 };
}

static void destroy(struct worker *w, bool timed_out)
{
	struct function *f = w->function;

	if (w->invocation && timed_out)
		fail(w, -THAW_TIMED_OUT, "");
	else if (w->invocation)
		fail(w, -THAW_CRASHED, "the machine was taken away");
	f->counts[FUNCTION_DESTROYED]++;
	worker_close(w);
	policy_gone(w->m->policy, number_of(w));
	function_lost_slot(f);
}

void worker_end(struct worker *w)
{
	destroy(w, false);
}

static const struct outcome refusals[] = {
	[POLICY_THROTTLED] = { .error = AWS_TOO_MANY_REQUESTS,
			       .message = "Rate Exceeded.",
			       .reason = AWS_REASON_CONCURRENT },
	[POLICY_TIMED_OUT] = { .error = AWS_TOO_MANY_REQUESTS,
			       .message = "no machine was free in time",
			       .reason = AWS_REASON_CONCURRENT },
	[POLICY_NO_MEMORY] = { .error = AWS_TOO_MANY_REQUESTS,
			       .message = "there is no memory for a machine of this function",
			       .reason = AWS_REASON_CONCURRENT },
	[POLICY_DOES_NOT_START] = { .error = AWS_SERVICE,
				    .message = "no machine of this function starts" },
};

static void refuse(struct invocation *inv, enum policy_reason reason)
{
	if (reason == POLICY_REMOVED) {
		function_pass_on(inv);
		return;
	}
	inv->function->counts[FUNCTION_REFUSED]++;
	invocation_end(inv, &refusals[reason]);
}

void workers_do(struct manager *m, const struct policy_action *a)
{
	struct invocation *inv = (struct invocation *)(uintptr_t)a->invocation;
	struct worker *w = &m->workers[a->slot];

	switch (a->verb) {
	case POLICY_GIVE:
		give(w, inv);
		break;
	case POLICY_REWIND:
		rewind_slot(w);
		break;
	case POLICY_START:
		start(w, m->by_number[a->function]);
		break;
	case POLICY_DESTROY:
		destroy(w, false);
		break;
	case POLICY_KILL:
		destroy(w, true);
		break;
	case POLICY_REFUSE:
		refuse(inv, a->reason);
		break;
	case POLICY_LOOK:
		look(w);
		break;
	}
}

void workers_filled(void *kind_data, const struct thaw_err *err, void *data)
{
	const struct function *f = kind_data;
	struct manager *m = data;

	policy_tick(m->policy, clock_monotonic());
	if (err)
		log_warn_of(f->record.name, "%s", err->text);
	for (uint32_t i = 0; i < m->config.limits.slots; i++) {
		struct worker *w = &m->workers[i];

		if (w->function != f || w->state != WORKER_WANTS_SHELL)
			continue;
		if (err)
			poisoned(w);
		else
			try_start(w);
	}
}
