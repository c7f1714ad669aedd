/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cell.h - where a process goes that may come to be its guest's: a user and a group of its own,
 * an empty read-only root, its own mount, process, network, IPC and UTS namespaces, no
 * capabilities and no new ones, and limits. namespaces(7), capabilities(7).
 *
 * One process opens cells, forks into them and reaps; a child enters one, once it has opened all
 * that it needs a path for. What it has open stays open: closing that is its own business, as is
 * the filter of system calls (filter.h).
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "engine/util.h"

struct err;

/* Users, and groups of the same numbers, that nobody else has: neither a person, nor a file, nor
 * another zygote. */
struct cell_range {
	uint32_t first_id, count;
};

#define CELL_NONE 0u /* in place of an id: the process stays where it is */

struct cells {
	struct cell_range range; /* .count 0: there are no cells */
	uint8_t *taken;		 /* for each id of the range */
	uint32_t next; /* looked at first: the id that was used the longest time ago */
	int processes; /* the namespace of processes that this one is in */
	int mounts;    /* one with nothing in it */
};

/*
 * cells_open - what all cells share. The calling process loses its bounding set of capabilities,
 * its own ones stay; its root and working directory become "/".
 * @range: NULL: none, and every id will be CELL_NONE.
 * Errors: -EINVAL no such range; -EPERM a capability is missing; what the kernel says to a
 * namespace, a mount or pivot_root(2). The process is of no use then.
 */
int cells_open(struct cells *c, const struct cell_range *range, struct err *err) must_check;
void cells_close(struct cells *c);

/* An id that no other process in a cell has, or CELL_NONE if there are no cells.
 * Errors: -EUSERS all are taken. */
int cells_take(struct cells *c, uint32_t *id, struct err *err) must_check;
/* Its process was reaped. */
void cells_give(struct cells *c, uint32_t id);

/* fork(2), into a namespace of processes in which the child is the first one: when that dies, all
 * that it forked die, too. Only SIGKILL and what it has handlers for reach it. */
pid_t cells_fork(const struct cells *c) must_check;

/*
 * cell_enter - for good, in a child of cells_fork. The signal that it asked for at its
 * parent's death (PR_SET_PDEATHSIG) has to be asked for again.
 * Errors: what the kernel says. The process has to end then.
 * Cost: 0.5 ms, most of it for the network namespace.
 */
int cell_enter(const struct cells *c, uint32_t id, struct err *err) must_check;
