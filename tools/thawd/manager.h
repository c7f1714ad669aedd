/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manager.h - the worker manager: functions of the store, their machines, and the invocations that
 * these answer. What is done when is the policy's to say (policy.h); this carries it out.
 *
 *	for (;;) {
 *		loop_wait(loop, manager_deadline(m));	// or what is nearer
 *		manager_step(m);
 *	}
 *
 * One thread, the loop's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/util.h"
#include "tools/thawd/call.h"
#include "tools/thawd/policy.h"

struct err;
struct jobs;
struct loop;
struct manager;
struct queue;
struct store;
struct thaw_zygote;

struct manager_config {
	struct loop *loop;
	struct store *store; /* these two outlive it, too */
	struct queue *queue;
	struct jobs *jobs;	    /* a thread that may wait for the disk */
	struct thaw_zygote *zygote; /* outlives the manager */
	struct policy_limits limits;
	const char *log_dir; /* what functions print: a file for each */
};

/* Errors: what machines_open and policy_create say. */
int manager_open(struct manager **out, const struct manager_config *config,
		 struct err *err) must_check;
/* Machines end, whatever they are at; calls that wait are answered with an error. NULL is allowed. */
void manager_close(struct manager *m);

/* Load the functions of the store that have slots when nobody asks for them. Errors: as store_list. */
int manager_preload(struct manager *m, struct err *err) must_check;

/* How short of memory the host is; to be said again while it is. */
void manager_pressure(struct manager *m, enum policy_pressure pressure);

/* Take what the policy decided after the events of this turn of the loop. */
void manager_step(struct manager *m);
nsec_t manager_deadline(const struct manager *m); /* 0: none */

/* What functions printed is in their files now, which it is anyway a moment later. */
void manager_write_logs(struct manager *m);

/* For struct call_ops; @data: the manager. */
void manager_invoke(struct call *call, void *data);
void manager_cancel(struct call *call, void *data);

/* The store has another idea of function @name, or none any more. */
void manager_changed(struct manager *m, const char *name);

/* Begin with no more events of the queue, and take it for nobody's fault what is cut short. */
void manager_stop(struct manager *m);

/* Is nothing under way? */
bool manager_is_idle(const struct manager *m);

/* The text of all metrics (Prometheus), for free(3); NULL: no memory. */
char *manager_metrics(const struct manager *m, size_t *len);
