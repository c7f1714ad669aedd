/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_policy.h - a world for the pool policy (tools/thawd/policy.h): it does what it is told,
 * keeps its own books, and checks each action, and what is left after each event, against them.
 */
#pragma once

#include <criterion/criterion.h>

#include "tools/thawd/policy.h"

/* cr_assert takes a microsecond also when it holds, and here are millions. */
#define must(holds, ...)                                                                       \
	do {                                                                                   \
		if (!(holds))                                                                  \
			cr_assert(false, "%s " __VA_ARGS__, #holds);                           \
	} while (0)

#define WORLD_NONE UINT32_MAX

enum world_state {
	WORLD_FREE,
	WORLD_STARTING,
	WORLD_IDLE,
	WORLD_BUSY,
	WORLD_REPLIED, /* something must be said of it before anything else happens */
	WORLD_REWINDING,
	WORLD_POISONED, /* likewise */
	WORLD_ENDING,
	WORLD_STATES,
};

struct world_slot {
	enum world_state state;
	uint32_t function;
	uint64_t memory;
	uint64_t invocation;
	uint64_t last_use; /* ordinal of the last invocation; 0: never used */
	uint64_t rested;   /* ordinal of when it became idle after that */
	nsec_t since;	   /* it is in this state */
	nsec_t end;	   /* of its invocation; 0: none */
	bool is_asleep;	   /* it is busy, and said to be that */
	bool sleeps;	   /* it will be said when it is looked at */
};

struct world_function {
	bool is_there;
	bool has_failed; /* to start: it may have to wait */
	struct policy_function config;
	uint32_t n[WORLD_STATES];
	uint64_t memory; /* of all its slots */
	uint32_t queued;
	uint32_t touched; /* slots that it was given its first invocation in */
};

struct world_invocation {
	uint32_t function;
	bool is_over;
	bool is_running;
	nsec_t deadline, last_moment; /* 0: none; the latter in the queue */
	enum policy_reason reason;    /* if it was refused */
	bool was_refused, was_killed, was_lost, was_answered;
	nsec_t arrived, given;
};

struct world {
	struct policy *p;
	struct policy_limits limits;
	nsec_t now;
	enum policy_pressure pressure;
	bool is_large;	   /* only what costs nothing is checked */
	bool is_uniform;   /* all slots take the same memory */
	bool was_lowered;  /* limits are below what was started before */
	uint32_t changing; /* this function is: idle slots may go for that */
	uint32_t current;  /* slot of this event */
	struct world_slot *slots;
	struct world_function *functions;
	struct world_invocation *invocations; /* their names are indices */
	uint32_t ninvocations, room, nover;
	uint32_t n[WORLD_STATES];
	uint64_t memory, uses;
	uint32_t nstarts, ndestroys, nkills, nlooks;
	uint32_t nkills_before; /* this event */
	uint32_t last_slot;	/* of the last action that had one */
};

void world_open(struct world *w, const struct policy_limits *limits);
void world_close(struct world *w);

/* What a function has that says nothing else: a slot of 1 byte, a queue of 100. */
struct policy_function world_plain(void);
/* What is refused changes nothing. Returns the number of the function; WORLD_NONE. */
uint32_t world_add(struct world *w, const struct policy_function *config);
bool world_change(struct world *w, uint32_t function, const struct policy_function *config);
void world_remove(struct world *w, uint32_t function);

/* Each is one event; whatever it leads to is done before it returns. */
void world_pass(struct world *w, nsec_t span);
uint64_t world_arrive(struct world *w, uint32_t function, nsec_t deadline);
void world_ready(struct world *w, uint32_t slot);
void world_reply(struct world *w, uint32_t slot);
void world_rewound(struct world *w, uint32_t slot);
void world_poison(struct world *w, uint32_t slot);
void world_gone(struct world *w, uint32_t slot);
void world_press(struct world *w, enum policy_pressure pressure);

/* What a slot that is asked for something does when all goes well. Returns whether it was. */
bool world_go_on(struct world *w, uint32_t slot);
/* All slots that start, rewind or end, until there are none. */
void world_settle(struct world *w);
/* That, and replies, and time, until no invocation waits or runs. */
void world_finish(struct world *w);

/* Slots of @function (WORLD_NONE: any) that are at work, for less than @span. */
uint32_t world_at_work(const struct world *w, uint32_t function, nsec_t span);
/* May an invocation of @function run beside those that do? */
bool world_may_run(const struct world *w, uint32_t function);
uint32_t world_slot_of(const struct world *w, uint64_t invocation); /* WORLD_NONE: in none */
uint32_t world_live(const struct world *w, uint32_t function);

/* The room that is set aside for functions, and what all others take. */
uint64_t world_set_aside(const struct world *w);
uint32_t world_reserved_left(const struct world *w,
			     uint32_t function); /* slots; of all its group */
uint64_t world_shared_memory(const struct world *w);
void world_check(const struct world *w);

/* 100 slots of one byte and 10 functions; linger 1 s, turn 10 ms. */
extern const struct policy_limits world_ample;
void world_open_small(struct world *w, uint32_t memory); /* the same with less */
uint32_t world_add_plain(struct world *w);
/* @n more invocations, and a slot for each if there can be one. */
void world_occupy(struct world *w, uint32_t function, uint32_t n);
void world_reply_to(struct world *w, uint64_t invocation);
/* To whatever runs of @function now, and settle. */
void world_reply_all(struct world *w, uint32_t function);
