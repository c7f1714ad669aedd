/* SPDX-License-Identifier: Apache-2.0 */
/* rewind_memory.h - the part of rewind.c that finds and puts back what a machine wrote to. */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct err;
struct machine;
struct rewind;

/* r->template, r->memory and r->window_fd are there. Errors: -ENOMEM. */
int rewind_memory_open(struct rewind *r, const struct machine *m, struct err *err) must_check;
void rewind_memory_close(struct rewind *r);

/*
 * rewind_memory_restore - RAM is the template's again, and the window zeros.
 * @copies: false when this process has met no page fault since the last time, so that it has got no copies
 * of RAM's pages, and wrote to no new page of the window.
 * Sets r->tables_changed. Errors: what the kernel says.
 */
int rewind_memory_restore(struct rewind *r, bool copies, struct err *err) must_check;
