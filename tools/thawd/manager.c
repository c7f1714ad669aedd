/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/manager.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/err.h"
#include "tools/thawd/events.h"
#include "tools/thawd/manager_state.h"

/* ---- invocations ---- */

void invocation_end(struct invocation *inv, const struct outcome *outcome)
{
	if (inv->call)
		call_done(inv->call, outcome);
	if (inv->event)
		events_end(inv, outcome);
	inv->function->m->ninvocations--;
	function_lost_invocation(inv->function);
	free(inv);
}

void invocation_arrive(struct invocation *inv)
{
	struct function *f = inv->function;

	policy_tick(f->m->policy, clock_monotonic());
	policy_arrive(f->m->policy, f->number, (uintptr_t)inv, 0);
}

/* Its function's, as soon as that is loaded. */
static void wait_for_function(struct function *f, struct invocation *inv)
{
	inv->next = NULL;
	*f->end = inv;
	f->end = &inv->next;
	f->nwaiting++;
}

static void enter(struct function *f, struct invocation *inv)
{
	inv->function = f;
	f->ninvocations++;
	if (f->state == FUNCTION_READY)
		invocation_arrive(inv);
	else
		wait_for_function(f, inv);
}

void invocation_move(struct invocation *inv, struct function *f)
{
	struct function *from = inv->function;

	enter(f, inv);
	function_lost_invocation(from);
}

int invocation_begin(struct function *f, const struct invocation *from)
{
	struct invocation *inv = malloc(sizeof(*inv));

	if (!inv)
		return -ENOMEM;
	*inv = *from;
	inv->arrived = clock_monotonic();
	if (inv->call)
		inv->call->data = inv;
	f->m->ninvocations++;
	enter(f, inv);
	return 0;
}

/* ---- calls ---- */

static void refuse(struct call *call, enum aws_error error, const char *message)
{
	call_done(call, &(struct outcome){ .error = error, .message = message });
}

static void invoke(struct function *f, struct call *call)
{
	const struct invocation inv = {
		.call = call,
		.id = call->id,
		.trace = call->traceparent,
		.payload = call->payload,
		.len = call->len,
	};

	if (invocation_begin(f, &inv) < 0)
		refuse(call, AWS_SERVICE, "no memory for an invocation");
}

void manager_invoke(struct call *call, void *data)
{
	struct manager *m = data;
	struct function *f;
	struct err err;
	int ret = function_find(&f, m, call->function, call->qualifier, &err);

	if (ret == -ENOENT)
		refuse(call, AWS_RESOURCE_NOT_FOUND, err.text);
	else if (ret < 0)
		refuse(call, ret == -EINVAL ? AWS_INVALID_PARAMETER : AWS_SERVICE, err.text);
	else if (call->type == CALL_DRY_RUN)
		call_done(call, &(struct outcome){ .executed_version = f->version });
	else if (call->type == CALL_EVENT)
		events_put(m, call);
	else
		invoke(f, call);
}

/* The client's bytes go with it; a machine that has them already goes on. */
void manager_cancel(struct call *call, void *data)
{
	struct invocation *inv = call->data;

	(void)data;
	if (call->type == CALL_EVENT) {
		events_forget(call);
		return;
	}
	inv->call = NULL;
	inv->id = "-";
	inv->trace = NULL;
}

/* ---- the loop ---- */

void manager_step(struct manager *m)
{
	struct policy_action a;

	policy_tick(m->policy, clock_monotonic());
	while (policy_next(m->policy, &a))
		workers_do(m, &a);
	events_take(m); /* there may be room again */
	if (m->write_at > 0 && m->write_at <= clock_monotonic())
		manager_write_logs(m);
}

void manager_pressure(struct manager *m, enum policy_pressure pressure)
{
	policy_tick(m->policy, clock_monotonic());
	policy_pressure(m->policy, pressure);
}

void manager_stop(struct manager *m)
{
	m->is_stopping = true;
}

nsec_t manager_deadline(const struct manager *m)
{
	return clock_nearest(policy_wake(m->policy), m->write_at);
}

bool manager_is_idle(const struct manager *m)
{
	return m->ninvocations == 0;
}

static int prepare(struct manager *m, struct err *err)
{
	const struct machines_config machines = { .zygote = m->config.zygote,
						  .slots = m->config.limits.slots,
						  .loaded = function_loaded,
						  .filled = workers_filled,
						  .data = m };
	int ret;

	m->workers = calloc(m->config.limits.slots, sizeof(*m->workers));
	m->by_number = calloc(m->config.limits.functions, sizeof(struct function *));
	if (!m->workers || !m->by_number)
		return err_set(err, ENOMEM, "no memory for %u slots", m->config.limits.slots);
	for (uint32_t i = 0; i < m->config.limits.slots; i++)
		m->workers[i] = (struct worker){ .m = m, .watch.fd = -1 };
	ret = policy_create(&m->policy, &m->config.limits, err);
	if (ret == 0)
		ret = machines_open(&m->machines, m->config.loop, &machines, err);
	return ret < 0 ? ret : events_open(m, err);
}

int manager_open(struct manager **out, const struct manager_config *config, struct err *err)
{
	struct manager *m = calloc(1, sizeof(*m));
	int ret;

	*out = NULL;
	if (!m)
		return err_set(err, ENOMEM, "no memory for a manager");
	m->config = *config;
	m->queue_watch.fd = -1;
	ret = prepare(m, err);
	if (ret < 0)
		manager_close(m);
	else
		*out = m;
	return ret;
}

static void end_all(struct manager *m)
{
	struct function *f, *next;

	for (f = m->functions; f; f = next) {
		next = f->next;
		if (f->state != FUNCTION_REMOVED)
			function_remove(f);
	}
	manager_step(m); /* what waits is refused */
	for (uint32_t i = 0; i < m->config.limits.slots; i++) {
		if (m->workers[i].function)
			worker_end(&m->workers[i]);
	}
}

void manager_close(struct manager *m)
{
	if (!m)
		return;
	manager_stop(m);
	m->is_closing = true;
	events_close(m);
	if (m->policy)
		end_all(m);
	machines_close(m->machines);
	policy_destroy(m->policy);
	known_forget(&m->known);
	free(m->by_number);
	free(m->workers);
	free(m);
}
