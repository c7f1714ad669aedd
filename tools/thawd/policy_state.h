/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_state.h - what the files of the policy share, and nobody else sees.
 *
 * Whoever changes what a function is sorted by (its slots, its queue, its configuration) calls
 * policy_sort for it before he touches another: that keeps every heap and list right.
 */
#pragma once

#include <sys/queue.h>

#include "tools/thawd/heap.h"
#include "tools/thawd/policy.h"

/* ---- time ---- */

enum timer_kind {
	TIMER_WAIT,    /* of an invocation in the queue */
	TIMER_SLOT,    /* of a start, an invocation or a rewind */
	TIMER_IDLE,    /* of a function's least recently used slot */
	TIMER_RETRY,   /* of a function that does not start */
	TIMER_REWINDS, /* of a function that waits for slots which are rewinding */
	TIMER_LOOK,    /* at those that are at work */
};

struct timer {
	struct heap_node node;
	nsec_t at;
	enum timer_kind kind;
};

/* ---- room ---- */

struct room {
	uint64_t bytes;
	uint32_t slots;
};

struct part {
	struct room limit, used; /* more is used than the limit only after that was lowered */
	struct room ending;	 /* of what is used: given back when the slots are gone */
};

/* ---- invocations that wait ---- */

struct invocation {
	TAILQ_ENTRY(invocation) link;
	struct timer timer;
	struct function *f; /* while it is in its queue */
	uint32_t function;
	uint64_t id;
	nsec_t deadline;
	enum policy_reason reason;
};
TAILQ_HEAD(invocations, invocation);

/* ---- slots ---- */

enum slot_state {
	SLOT_STARTING,
	SLOT_IDLE,
	SLOT_BUSY,
	SLOT_REWINDING,
	SLOT_ENDING, /* it is no use any more, but not gone */
	SLOT_STATES,
};

enum work {
	WORK_COUNTED,
	WORK_ASLEEP,
	WORK_LEFT_ALONE,
};

struct slot {
	TAILQ_ENTRY(slot) link; /* a list for each: free; idle, of a function; at work */
	TAILQ_ENTRY(slot) news; /* what is to be said of it */
	struct timer timer;
	struct function *f; /* NULL: free */
	enum slot_state state;
	bool has_news;
	bool was_used;
	enum work work; /* of a busy one */
	uint32_t number;
	uint64_t memory;
	uint64_t invocation;
	nsec_t since;	 /* it is in this state */
	nsec_t ready_at; /* for the first time */
	nsec_t look_at;	 /* while it is counted, and others wait */
	nsec_t charged;	 /* to its function, when it was given the invocation */
};
TAILQ_HEAD(slots, slot);

/* ---- functions ---- */

struct function;
TAILQ_HEAD(functions, function);

/* What functions have together for which something is reserved; the limit is that. */
struct group {
	uint32_t name; /* 0: of its only function */
	struct part part;
	struct functions members; /* none: it is unused */
};

struct function {
	struct policy_function config;
	uint32_t number;
	bool is_removed;
	uint32_t n[SLOT_STATES];
	uint64_t held;	     /* bytes of slots that are not ending */
	struct part own;     /* all its slots; without a limit */
	struct group *group; /* NULL: nothing is reserved */
	TAILQ_ENTRY(function) sibling;
	struct slots idle; /* the most recently used first */
	struct invocations queue;
	uint32_t nqueued;

	uint32_t nworking; /* slots counted as at work */
	struct heap_node runnable, restless, needy, oldest, richest;
	struct timer idle_timer, retry, rewinds;
	bool rewinds_are_late;
	TAILQ_ENTRY(function) ahead;
	bool is_ahead, is_first;
	uint32_t spare;	   /* slots to be started ahead of need */
	uint32_t failures; /* to start, one after the other */
	uint64_t turn_no;  /* among those that hold as little */

	uint64_t tag;	 /* virtual time at which its next invocation starts; may wrap */
	nsec_t estimate; /* of what one takes */
};

/* Functions with something set aside compete for no room with the others. */
enum { SIDE_SHARED, SIDE_RESERVED, SIDES };

struct side {
	struct heap needy;	/* want a slot */
	struct heap oldest;	/* have a slot that can be taken: by how long nobody used it */
	struct functions ahead; /* want a slot that they do not need yet */
};

struct policy {
	struct policy_limits limits;
	nsec_t now;
	struct part total, shared;
	struct room set_aside; /* for functions with something reserved */
	struct room promised;  /* provisioned slots of the others */

	struct function **functions; /* by number */
	struct group *groups;	     /* as many as functions */
	uint32_t *numbers;	     /* that are free; the last is the next */
	uint32_t nnumbers;
	struct slot *slots;
	struct slots free, news, working;
	uint32_t n[SLOT_STATES];
	uint32_t nworking;
	struct timer look; /* at those that are at work */

	struct invocations unused, refused;
	struct invocation_chunk *chunks;
	uint32_t nqueued, queue_room, queue_promised;

	struct heap timers;
	struct heap runnable; /* an invocation waits, and so does a slot */
	struct heap restless; /* that, and nobody is at work */
	struct side sides[SIDES];
	struct heap richest; /* of SIDE_SHARED, have a slot that can be taken */
	uint32_t nfirst;     /* of SIDE_SHARED, need a slot and have none */
	uint64_t turns;
	uint64_t virtual_time; /* may wrap */

	enum policy_pressure pressure;
	uint32_t evictions, last_evictions; /* that pressure still asks for, and asked for */
};

static inline uint32_t function_live(const struct function *f)
{
	return f->n[SLOT_STARTING] + f->n[SLOT_IDLE] + f->n[SLOT_BUSY] + f->n[SLOT_REWINDING];
}

/* Slots that will take an invocation without being asked. */
static inline uint32_t function_coming(const struct function *f)
{
	bool is_fresh = f->config.mode == POLICY_FRESH;

	return f->n[SLOT_STARTING] + f->n[SLOT_IDLE] + (is_fresh ? 0 : f->n[SLOT_REWINDING]);
}

static inline uint32_t function_cap(const struct function *f)
{
	uint32_t cap = f->config.max > 0 ? f->config.max : UINT32_MAX;

	if (f->is_removed)
		return 0;
	return f->config.is_reserved ? MIN(cap, f->config.reserved) : cap;
}

static inline bool function_lacks_provisioned(const struct function *f)
{
	return function_live(f) < MIN(f->config.provisioned, function_cap(f));
}

static inline bool function_retries_later(const struct function *f)
{
	return f->retry.node.at > 0;
}

static inline struct slot *function_lru(const struct function *f)
{
	return TAILQ_LAST(&f->idle, slots);
}

#define FAILURES_AT_ONCE 3u /* ours: starts that may fail before the next one waits */

/* It waited, and failed again. */
static inline bool function_gave_up(const struct function *f)
{
	return function_retries_later(f) && f->failures > FAILURES_AT_ONCE;
}

/* ---- policy.c ---- */

/* @s is no use any more, by its own doing. Returns whether it had an invocation. */
bool policy_lose(struct policy *p, struct slot *s);

/* ---- policy_function.c ---- */

int policy_heaps_reserve(struct policy *p, uint32_t queued);
void policy_heaps_init(struct policy *p);
void policy_heaps_fini(struct policy *p);
/* It could use one slot more. */
bool policy_function_wants(const struct function *f);
/* That, and there is something to be done about it. */
bool policy_function_needs(const struct policy *p, const struct function *f);
void policy_sort(struct policy *p, struct function *f);
void policy_forget(struct policy *p, struct function *f); /* without slots, and removed */

/* @t rings at @at, which replaces what was set before; 0: never. */
void policy_timer_set(struct policy *p, struct timer *t, nsec_t at);

/* ---- policy_queue.c ---- */

/* Have room for @n invocations that wait. Errors: -ENOMEM. */
int policy_queue_reserve(struct policy *p, uint32_t n);
void policy_queue_fini(struct policy *p);
struct invocation *policy_queue_add(struct policy *p, struct function *f, uint64_t id,
				    nsec_t deadline);
void policy_queue_drop(struct policy *p, struct invocation *i);
void policy_queue_refuse(struct policy *p, struct invocation *i, enum policy_reason reason);
void policy_queue_refuse_all(struct policy *p, struct function *f, enum policy_reason reason);
bool policy_queue_next(struct policy *p, struct policy_action *a);

/* ---- policy_slot.c: none of these sorts ---- */

struct slot *policy_slot_start(struct policy *p, struct function *f);
void policy_slot_rest(struct policy *p, struct slot *s);
void policy_slot_give(struct policy *p, struct slot *s);
void policy_slot_rewind(struct policy *p, struct slot *s);
void policy_slot_end(struct policy *p, struct slot *s);
void policy_slot_tell(struct policy *p, struct slot *s); /* there is news of it */
void policy_slot_doom(struct policy *p, struct slot *s); /* that, and have it destroyed */
void policy_slot_free(struct policy *p, struct slot *s); /* is ending */
bool policy_slot_next(struct policy *p, struct policy_action *a);

/* ---- policy_run.c: only policy_run_leave_alone sorts ---- */

void policy_run_begin(struct policy *p, struct slot *s); /* was given an invocation */
void policy_run_end(struct policy *p, struct slot *s);
void policy_run_sleep(struct policy *p, struct slot *s);
/* Those that have been at work for long. */
void policy_run_leave_alone(struct policy *p);
/* May an invocation of @f run, if all that are @starting will? */
bool policy_run_may(const struct policy *p, const struct function *f, uint32_t starting);
/* Who has an invocation to run, and may. NULL: nobody. */
struct function *policy_run_next(const struct policy *p);
/* If others could run if it were not at work, have somebody looked at. */
bool policy_run_look(struct policy *p, struct policy_action *a);

/* ---- policy_group.c: of functions with something reserved ---- */

/* NULL: there is none; name 0 is that of none. */
struct group *policy_group_find(const struct policy *p, uint32_t name);
void policy_group_join(struct policy *p, struct function *f);
void policy_group_leave(struct function *f);
/* What @f, which may be NULL, has set aside by @config beyond what the others of its group have. */
struct room policy_group_growth(const struct policy *p, const struct function *f,
				const struct policy_function *config);
/* Slots provisioned for all of @g, which may be NULL, but @but. */
uint32_t policy_group_provisioned(const struct group *g, const struct function *but);
/* Beside @f: who has the slot that can be taken and was idle for longest; who wants one, and holds
 * least. NULL: nobody. */
struct function *policy_group_oldest(const struct function *f);
struct function *policy_group_needy(const struct function *f);

/* ---- policy_room.c ---- */

void policy_room_take(struct policy *p, const struct slot *s);
void policy_room_end(struct policy *p, const struct slot *s);
void policy_room_give(struct policy *p, const struct slot *s);

/* Move @f's slots and what it is promised in (or out of) the sums that its configuration says. */
void policy_room_count(struct policy *p, struct function *f);
void policy_room_uncount(struct policy *p, struct function *f);
/* May @f be (or become) this beside all others? Errors: -ENOMEM. */
int policy_room_admit(const struct policy *p, const struct function *f,
		      const struct policy_function *config, struct err *err);

bool policy_room_fits(const struct policy *p, const struct function *f);
/* Beside its own slots, those set aside and those that others were promised? */
bool policy_room_ever_fits(const struct policy *p, const struct function *f);
/* Is it worth waiting for room? What is reserved is there once its own slots are gone. */
bool policy_room_may_grow(const struct policy *p, const struct function *f);
/* In its group, has another an idle slot that it may have, and there is no other room? */
bool policy_room_may_take(const struct function *f);
/* Of what @f shares with others more is used than the limit; it does not end by itself. */
bool policy_room_is_over(const struct policy *p, const struct function *f);

uint64_t policy_room_share(const struct function *f);
/* The idle slot that @f may have destroyed to get one. NULL: none, or it need only wait. */
struct slot *policy_room_victim(const struct policy *p, const struct function *f);
/* Has the function of @s, which is free just now, to give it up for another? */
bool policy_room_yields(const struct policy *p, const struct slot *s);
/* May @f start a slot now, if there is room? */
bool policy_may_start(const struct policy *p, const struct function *f);
