/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - who gets which slot, and when slots are started, given up and destroyed.
 *
 * A machine of decisions: events go in, actions come out. It has no clock, socket or process,
 * and allocates only when it is made and when functions are added or changed, so a simulation
 * runs what the daemon runs. One thread.
 *
 *	policy_tick(p, now);
 *	policy_arrive(p, function, invocation, deadline);	// or any other event
 *	while (policy_next(p, &action))				// always, until there is none
 *		...						// do it
 *
 * A slot belongs to one function from its start to its end, so what has run for one tenant
 * never runs for another.
 *
 *	               GIVE              replied
 *	START > ready ------> (busy) ------------> [REWIND > rewound] > ready ...
 *	any of these > DESTROY or KILL > gone
 *
 * The rules, each with its tests in tests/test_policy*.c:
 *
 * sticky	The idle slot that was used last is given first, and a queue that slots will serve
 *		that are starting or rewinding starts no more, and for a glance touches none
 *		that was never used. So load stays on few slots.
 * growth	What queues beyond that starts slots, and a few ahead of need when the function
 *		was busy already. Those take free room only.
 * room		All slots together stay within one budget of memory and one of slots. What a
 *		slot took counts until it is gone.
 * shares	Who wants a slot and holds least for its weight is served first, then who has
 *		waited longest. If there is no room, idle slots are taken that nobody used for
 *		`linger`; then idle or busy ones (at their next reply) of whoever holds
 *		more; and who has none gets the one of an equal after `turn`.
 * running	If invocations at work at once are limited, start-time fair queueing of the
 *		time they took, by weight, says whose is next. A function that has nobody at
 *		work waits for those only that began less than a `glance` ago. One that sleeps
 *		is not at work: when others wait, whoever has run for a glance is looked at,
 *		after twice that again, and so on. After 64 it is left to the host's scheduler.
 * kept		Idle slots beyond `min` and `provisioned` go after idle_timeout, the least
 *		recently used first. Memory pressure and others' need take all but
 *		`provisioned`.
 * reserved	is a function's limit, or that of a group, and set aside: nobody else's slots take that
 *		room. Within a group, a slot that one does not need is there for another at once.
 * ends		Each invocation that arrives ends once: by policy_replied, by policy_poisoned or
 *		policy_gone of the slot that has it (these return true), by REFUSE or by KILL.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/util.h"

struct err;
struct policy;

/* What all functions share. */
struct policy_limits {
	uint64_t memory;    /* bytes for all slots; at most 64 TiB */
	uint32_t slots;	    /* at once; at most 65,536 */
	uint32_t functions; /* at most 65,536 */
	uint32_t starting;  /* slots at once; 0: any number */
	uint32_t running;   /* invocations at work at once; 0: any number */
	uint32_t ahead;	    /* slots started ahead of a function's need */
	nsec_t linger; /* that long an idle slot is its function's against one that holds more */
	nsec_t turn;   /* that long, times its weight, a function keeps its last slot */
	nsec_t glance;	 /* 0: what runs is at work */
	nsec_t patience; /* with a start, and with a rewind; 0: without end */
};

/* What a slot does between two invocations. */
enum policy_mode {
	POLICY_PRISTINE, /* it is rewound */
	POLICY_REUSE,	 /* nothing: what the last one left is there */
	POLICY_FRESH,	 /* it is destroyed */
};

#define POLICY_MAX_WEIGHT 1000u

struct policy_function {
	uint64_t memory; /* bytes that a slot counts with; not 0 */
	enum policy_mode mode;
	uint32_t weight;      /* of its share; 1 to POLICY_MAX_WEIGHT */
	uint32_t min;	      /* slots kept when idle */
	uint32_t max;	      /* slots; 0: what there is room for */
	uint32_t provisioned; /* slots that are always there */
	bool is_reserved;     /* `reserved` means something */
	uint32_t reserved;    /* slots set aside, and no more than these; 0: it may not run */
	uint32_t group;	      /* whose functions have what is reserved together; 0: none */
	uint32_t max_queued;  /* invocations that wait; not 0, at most 1,000,000 */
	nsec_t idle_timeout;  /* 0: idle slots stay until their room is wanted */
	nsec_t wait;	      /* for a slot, at most; 0: until the deadline */
	nsec_t timeout;	      /* from GIVE to reply; 0: until the deadline */
};

enum policy_verb {
	POLICY_GIVE,	/* @invocation to @slot, which is idle */
	POLICY_REWIND,	/* @slot; the answer is policy_rewound */
	POLICY_START,	/* @slot, with a machine of @function; the answer is policy_ready */
	POLICY_DESTROY, /* @slot; the answer is policy_gone */
	POLICY_KILL, /* the same; its time is over, and if has_invocation so is @invocation's */
	POLICY_REFUSE, /* @invocation, with @reason */
	POLICY_LOOK,   /* at @slot, which is busy: if it is not at work, policy_asleep */
};

enum policy_reason {
	POLICY_THROTTLED,      /* the queue is full, or none is reserved */
	POLICY_TIMED_OUT,      /* in the queue */
	POLICY_NO_MEMORY,      /* for a first slot */
	POLICY_DOES_NOT_START, /* slots failed to start again and again */
	POLICY_REMOVED,	       /* the function was removed */
};

struct policy_action {
	enum policy_verb verb;
	uint32_t function;
	uint32_t slot; /* from 0; its number is used again when it is gone */
	bool has_invocation;
	uint64_t invocation; /* as it arrived */
	enum policy_reason reason;
};

int policy_create(struct policy **policy, const struct policy_limits *limits,
		  struct err *err) must_check;
void policy_destroy(struct policy *p);

/*
 * policy_add - a function, from now on.
 * Returns its number. Errors: -EINVAL a value is out of range; -ENOMEM what it needs, or wants
 * set aside or provisioned, is more than others have left; -ENOSPC too many functions.
 */
int policy_add(struct policy *p, const struct policy_function *config,
	       struct err *err) must_check;

/* Slots of another memory, or of what @config does not allow, go when they are idle. A new
 * version of the image is another function. Errors: as policy_add; nothing has changed then. */
int policy_change(struct policy *p, uint32_t function, const struct policy_function *config,
		  struct err *err) must_check;

/* What queues is refused, what runs may end. The number is used again when the last slot is
 * gone. */
void policy_remove(struct policy *p, uint32_t function);

/* The time, of any clock that does not go back. It is that of the events that follow. */
void policy_tick(struct policy *p, nsec_t now);

/* The time at which to call policy_tick and policy_next though nothing happens; 0: never. */
nsec_t policy_wake(const struct policy *p);

/*
 * policy_arrive - an invocation of a function that was not removed.
 *
 * @invocation: what actions call it
 * @deadline: it has ended by then, be it in the queue or in a slot; 0: none
 */
void policy_arrive(struct policy *p, uint32_t function, uint64_t invocation, nsec_t deadline);

/*
 * What became of slots. Of one that was destroyed or killed only policy_gone means anything:
 * what else was on its way is ignored. Those that return bool say whether an invocation
 * has ended by this event.
 */
void policy_ready(struct policy *p, uint32_t slot);
bool policy_replied(struct policy *p, uint32_t slot);
void policy_rewound(struct policy *p, uint32_t slot);
void policy_asleep(struct policy *p, uint32_t slot);   /* its invocation only waits */
bool policy_poisoned(struct policy *p, uint32_t slot); /* or failed to start, but lives */
bool policy_gone(struct policy *p, uint32_t slot);     /* its process is, by whatever cause */

enum policy_pressure {
	POLICY_CALM,
	POLICY_TIGHT,	 /* nothing starts ahead of need; idle slots go: 1, then 2, 4, ... */
	POLICY_CRITICAL, /* all idle slots go but provisioned ones, and nothing starts */
};

/* Memory pressure as it is now; to be said again while it lasts. */
void policy_pressure(struct policy *p, enum policy_pressure pressure);

/* What to do next. Returns whether there is something. */
bool policy_next(struct policy *p, struct policy_action *action);

struct policy_counts {
	uint32_t queued, starting, idle, busy, rewinding, ending;
	uint64_t memory; /* bytes of all these slots */
};

struct policy_counts policy_count(const struct policy *p, uint32_t function);
struct policy_counts policy_count_all(const struct policy *p);
