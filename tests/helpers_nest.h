/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_nest.h - what tests of zygotes share: a frozen program and a pool of it, through
 * libthaw as its callers use it. Helpers assert.
 */
#pragma once

#include <sys/types.h>

#include "snapshot/thaw.h"
#include "tests/helpers_kvm.h"

#define NEST_TIMEOUT_MS (slow() * 10000)

struct nest {
	struct thaw_zygote *zygote;
	struct frozen f;
	struct thaw_host *host;
	struct thaw_image *image;
	struct thaw_template *template;
	struct thaw_pool *pool;
};

/* Zygotes of nests that begin from here on put their shells there; NULL, to begin with: nowhere. */
void nest_in_cells(const struct thaw_cells *cells);
/* Why there are no cells here, or NULL. */
const char *nest_no_cells(void);

/* A zygote, and @program (of guest_path) as a template, without a pool. */
void nest_begin(struct nest *n, const char *program);
/* Another template of the same program, of @tier, in place of the one that is there. */
void nest_take_tier(struct nest *n, const char *tier);
/* nest_begin with a pool of @slots. */
void nest_make(struct nest *n, const char *program, unsigned int slots);
void nest_free(struct nest *n);

struct thaw_slot *nest_start(struct nest *n);

/* nest_make with one slot of echo, which has answered. @pid: its shell. */
struct thaw_slot *nest_of_one(struct nest *n, pid_t *pid);

/* Ask a slot that echoes. */
void nest_ask(struct thaw_slot *slot, const char *event);

/* Children of @pid now; at most @max are written to @children. Returns how many there are. */
int nest_children(pid_t pid, pid_t *children, int max);

/* Wait up to five seconds until the zygote has @shells children. Asserts that it has. */
void nest_settle(const struct nest *n, int shells);

/* Is @pid gone, or a zombie? */
bool nest_is_gone(pid_t pid);

/* Wait up to ten seconds for @pid to be gone, or a zombie. Asserts that it is. */
void nest_wait_gone(pid_t pid);
