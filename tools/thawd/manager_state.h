/* SPDX-License-Identifier: Apache-2.0 */
/* manager_state.h - what is behind manager.h, for the files that implement it: manager.c has the
 * calls, functions.c the functions, workers.c the slots. */
#pragma once

#include <sys/queue.h>

#include "engine/loop.h"
#include "tools/thawd/function_log.h"
#include "tools/thawd/histogram.h"
#include "tools/thawd/jobs.h"
#include "tools/thawd/known.h"
#include "tools/thawd/machines.h"
#include "tools/thawd/manager.h"
#include "tools/thawd/store.h"
#include "tools/thawd/tail.h"

struct worker;

/* On its way to a machine and back. The policy calls it by its address. */
struct invocation {
	struct function *function;
	struct call *call;		 /* whose client waits; NULL: none, or it has gone */
	const struct queue_event *event; /* that it is of; NULL: of none */
	const char *id;			 /* of the request. What these four point to ... */
	const char *trace;		 /* W3C trace context; NULL: none */
	const uint8_t *payload; /* ... is the call's or the event's, and goes with it */
	size_t len;
	nsec_t arrived;
	nsec_t given; /* to a machine */
	struct invocation *next;
};

enum function_state {
	FUNCTION_LOADING,
	FUNCTION_READY,	  /* known to the policy */
	FUNCTION_REMOVED, /* its last slots end, then it goes */
};

enum function_count {
	FUNCTION_ANSWERED,
	FUNCTION_FAILED, /* crashed */
	FUNCTION_TIMED_OUT,
	FUNCTION_REFUSED, /* by the policy */
	FUNCTION_STARTED, /* slots */
	FUNCTION_USED,	  /* slots that got an invocation */
	FUNCTION_REWOUND,
	FUNCTION_POISONED,  /* slots */
	FUNCTION_DESTROYED, /* slots, for whatever reason */
	FUNCTION_COUNTS
};

enum function_time {
	TIME_QUEUE,    /* from arrival to a slot */
	TIME_RESPONSE, /* from there to the reply */
	TIME_REWIND,
	TIME_TOTAL, /* from arrival to the reply */
	/* The stamps of thaw.h, from its "request" on: the first three once in the life of a slot. */
	TIME_SHELL,
	TIME_MEMORY,
	TIME_STATE,
	TIME_FIRST_INSTRUCTION,
	TIME_FIRST_RESPONSE,
	FUNCTION_TIMES
};

/* One version of a function of the store, or $LATEST as it was at one time. */
struct function {
	struct manager *m;
	struct function *next;
	struct store_record record;
	char version[NAMES_QUALIFIER_SIZE]; /* as clients are told */
	enum function_state state;
	uint32_t number; /* the policy's */
	uint32_t group;	 /* the policy's: of all versions of this name */
	struct kind *kind;
	struct invocation *first, **end; /* that came while it was loaded */
	uint32_t nwaiting;
	uint32_t nslots; /* of the policy */
	uint32_t ninvocations;
	struct function_log log;
	LIST_ENTRY(function) unwritten; /* while is_unwritten: its log is to be written */
	bool is_unwritten;
	uint64_t counts[FUNCTION_COUNTS];
	struct thaw_rewinds rewinds; /* of slots that were closed */
	struct histogram times[FUNCTION_TIMES];
};

enum worker_state {
	WORKER_NONE,
	WORKER_WANTS_SHELL,
	WORKER_IDLE,
	WORKER_BUSY,
	WORKER_REWINDING,
};

/* A slot of the policy. */
struct worker {
	struct loop_watch watch;
	struct manager *m;
	struct function *function;
	struct thaw_slot *slot;
	enum worker_state state;
	bool is_used; /* it got an invocation */
	struct invocation *invocation;
	bool has_replied; /* has replied since it was started or rewound */
	nsec_t since;	  /* a rewind was asked for */
	struct tail tail; /* of what was printed during this invocation */
};

struct manager {
	struct manager_config config;
	struct policy *policy;
	struct machines *machines;
	struct function *functions;
	uint32_t nfunctions, ninvocations, ngroups;
	bool is_closing; /* who waits is refused */
	bool is_stopping; /* no more of the queue's events, and what is cut short is nobody's fault */
	struct loop_watch queue_watch;
	struct job collect; /* images that nobody needs any more */
	bool collects, collect_again;
	struct function **by_number; /* limits.functions of them */
	struct known known;
	LIST_HEAD(, function) unwritten;
	nsec_t write_at;	/* their logs; 0: there are none */
	struct worker *workers; /* limits.slots of them */
};

/* ---- functions.c ---- */

/* What @qualifier ("": none) of @name is; loading may be under way. Errors: -ENOENT; as
 * store_resolve and machines_load. */
int function_find(struct function **out, struct manager *m, const char *name,
		  const char *qualifier, struct err *err) must_check;
/* No new invocations; those that wait go to what is there in its place. It goes when its last slot
 * and its last invocation are gone. */
void function_remove(struct function *f);
/* One invocation less. May free @f. */
void function_lost_invocation(struct function *f);
/* @inv, which @f refused because it was removed, goes on or ends. */
void function_pass_on(struct invocation *inv);
/* What it prints, or we of it: written a moment later. */
void function_print(struct function *f, const void *text, size_t len);
void function_write_log(struct function *f);
/* One slot less. May free @f. */
void function_lost_slot(struct function *f);
void function_loaded(void *kind_data, const struct thaw_err *err, void *data);

/* ---- manager.c ---- */

/* Give @inv its end: exactly once. */
void invocation_end(struct invocation *inv, const struct outcome *outcome);
/* A copy of @from is for the policy, or waits until @f is loaded. Errors: -ENOMEM. */
int invocation_begin(struct function *f, const struct invocation *from) must_check;
/* Give it to the policy. */
void invocation_arrive(struct invocation *inv);
/* From its function to @f, in its place in time. */
void invocation_move(struct invocation *inv, struct function *f);

/* ---- workers.c ---- */

void workers_do(struct manager *m, const struct policy_action *a);
/* Shells came for a function, or could not be made. */
void workers_filled(void *kind_data, const struct thaw_err *err, void *data);
/* Add what the rewinds of @slot came to. */
void workers_rewinds(struct thaw_rewinds *sum, const struct thaw_slot *slot);
/* Whatever it is at. May free its function. */
void worker_end(struct worker *w);
