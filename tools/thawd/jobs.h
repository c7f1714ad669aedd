/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jobs.h - a thread for what takes time: jobs are done in the order in which they came, and what
 * became of them is told on the loop.
 */
#pragma once

#include "engine/util.h"

struct err;
struct jobs;
struct loop;

/* Embedded in whatever it is about. May be given again from `done` on. */
struct job {
	void (*work)(struct job *job); /* on the thread */
	void (*done)(struct job *job); /* on the loop; NULL: nobody wants to hear */
	struct job *next;
};

int jobs_open(struct jobs **out, struct loop *loop, struct err *err) must_check;
/* Those that wait are done, and told. NULL is allowed. */
void jobs_close(struct jobs *j);

void jobs_add(struct jobs *j, struct job *job);
