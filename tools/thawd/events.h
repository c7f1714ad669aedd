/* SPDX-License-Identifier: Apache-2.0 */
/* events.h - between the manager and the durable queue (queue.h): events that clients do not wait
 * for are put there, and handled when their turn comes. */
#pragma once

#include "engine/util.h"

struct call;
struct err;
struct invocation;
struct manager;
struct outcome;

/* Watch the queue. Errors: what loop_add says. */
int events_open(struct manager *m, struct err *err) must_check;
void events_close(struct manager *m);

/* Accept the event of @call, which is answered when that is on the disk. */
void events_put(struct manager *m, struct call *call);
/* Its client has gone. The event stays. */
void events_forget(struct call *call);

/* Begin with as many as are due and may be out at once. */
void events_take(struct manager *m);

/* What became of one: handled, to be tried again, or put off. */
void events_end(struct invocation *inv, const struct outcome *outcome);
