/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ending.h - shells that were killed and may still be there. The kernel takes milliseconds to
 * end a process with a virtual machine, and that long it has its memory: what was promised for
 * it stays promised until it is gone. Nobody waits for that but who needs the memory.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/util.h"

struct account;
struct err;

struct ending {
	struct ending *next;
	int pidfd;	/* -1: there is no process */
	uint64_t bytes; /* promised */
};

struct endings {
	struct account *account; /* not owned */
	struct ending *added;	 /* a stack; atomic */
	unsigned int n;		 /* atomic */
	pthread_mutex_t lock;	 /* of who collects */
	struct ending *first;	 /* taken from the stack, in any order */
};

void endings_init(struct endings *l, struct account *account);
/* Those that are still there stay promised. */
void endings_fini(struct endings *l);

/* @e, of malloc, and its descriptor are the list's. Does not wait, from any thread. */
void endings_add(struct endings *l, struct ending *e);

/* How many were not collected. */
unsigned int endings_count(const struct endings *l);

/*
 * endings_collect - give back what was promised for all that are gone. If none is, wait until
 * one is (of the first 64, of which no one takes much longer than another) or @until (0: do not). Returns whether anything was given back.
 */
bool endings_collect(struct endings *l, nsec_t until);

/* account_take. Where there is no room, waits for as many as it takes. Errors: -ENOMEM. */
int endings_promise(struct endings *l, uint64_t bytes, const char *what,
		    struct err *err) must_check;

/* By when a shell that was killed is gone. */
nsec_t endings_patience(void);
