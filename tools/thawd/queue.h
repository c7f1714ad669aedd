/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue.h - events that somebody wants handled and does not wait for (Lambda's invocation type
 * Event). An event is accepted when it is on the disk; from then on it is given out until it was
 * handled, or its retries or its time are over: then it is a line of the dead-letter file, which
 * has it once. Whoever dies meanwhile, and at whatever moment, an accepted event is not lost; it
 * may be given out again though it was handled.
 *
 *	queue_put(q, &event, accepted, arg, &err);	// accepted(arg, 0, NULL) some time later
 *	queue_fd(q) is readable: queue_dispatch(q);	// calls back
 *	while (room && (e = queue_take(q)))		// also whenever there is room again
 *		...					// queue_done, queue_fail or queue_defer
 *
 * Of functions that have events due each is served in turn, so that one with a long queue keeps no
 * other waiting. In a queue, what is due first comes first.
 *
 * A thread of its own waits for the disk: what was asked for since it looked last is one
 * transaction, whatever the number. The functions here belong to one thread, the caller's; they wait
 * for nothing but queue_open and queue_close. Open zygotes before: they would inherit descriptors.
 *
 * The file is its own, not the store's: each has one writer at a time, and the two must not wait
 * for each other, nor does damage of one take the other away. It is locked while it is open.
 *
 * Time is that of the wall, because it must make sense after a restart.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;
struct queue;

#define QUEUE_MAX_PAYLOAD (256u << 10) /* bytes; Lambda's for Event */
#define QUEUE_MAX_TEXT	  4096u	       /* bytes of each of an event's texts; ours */
#define QUEUE_MAX_RETRIES 2u	       /* Lambda's */
#define QUEUE_MAX_AGE_MS  21600000u    /* 6 hours; Lambda's */

struct queue_config {
	const char *path;	  /* of the SQLite file; it is made if it is not there */
	const char *dead_letters; /* of the file; may be moved away at any time */
	uint32_t retry_ms[QUEUE_MAX_RETRIES]; /* before the first retry, before others */
	uint32_t taken;	     /* events that are given out at once, at most; not 0 */
	uint32_t taken_each; /* of one function; not 0 */
	uint32_t max_events; /* accepted and not handled; not 0 */
};

/* Lambda's 1 and 2 minutes; 256 events at once, 16 of each function; a million in all. */
void queue_config_default(struct queue_config *config);

struct queue_event {
	const char *function;
	const char *qualifier; /* texts that are "" were not given */
	const char *request_id;
	const char *trace;
	const char *client_context;
	const void *payload;
	size_t len;
	uint32_t max_age_ms; /* 1 to QUEUE_MAX_AGE_MS */
	uint32_t retries;    /* after the first try */

	/* Not to be set by whoever puts it. */
	int64_t id;	     /* never used again */
	int64_t accepted_ms; /* since 1970 */
	uint32_t attempts;   /* that failed */
};

/*
 * queue_open - and go on with what is there.
 * Errors: -EBUSY another process has the file; those of db.h, of the dead-letter file, -ENOMEM,
 * -EAGAIN no thread.
 */
int queue_open(struct queue **queue, const struct queue_config *config,
	       struct err *err) must_check;

/* What was asked for is done and called back before this returns. Events that are taken are the
 * next one's who opens the file. */
void queue_close(struct queue *q);

/* Readable when there is something to be called back, or to be taken. */
int queue_fd(const struct queue *q);
void queue_dispatch(struct queue *q);

/* @ret: 0, or -errno with @err: it was not accepted. That an event which was not is handled all the
 * same can happen: when the disk fails in the last step, and the process ends. */
typedef void queue_accepted(void *arg, int ret, const struct err *err);

/*
 * queue_put - accept @event, of which a copy is made, and say so by @accepted from queue_dispatch or
 * queue_close.
 * Errors: -EMSGSIZE the payload; -EINVAL another value; -EAGAIN too many events, or the disk does
 * not keep up; -ENOMEM. It is not called then.
 */
int queue_put(struct queue *q, const struct queue_event *event, queue_accepted *accepted,
	      void *arg, struct err *err) must_check;

/* The next event that is due; NULL: none, or too many are out. It is the caller's until it is given
 * back by one of the three functions below. */
const struct queue_event *queue_take(struct queue *q);

/* It was handled. */
void queue_done(struct queue *q, const struct queue_event *event);

/*
 * queue_fail - it was tried in vain: again later, or it is a dead letter.
 * @error: what is said there of the last try; @reply: what the function said, may be NULL
 */
void queue_fail(struct queue *q, const struct queue_event *event, const char *error,
		const void *reply, size_t len);

/* It could not be tried, as for want of slots: not before @delay_ms; a retry is not used up. */
void queue_defer(struct queue *q, const struct queue_event *event, uint32_t delay_ms);

/* A function is gone: its events are dead letters, those that are taken when their try fails.
 * Errors: -ENOMEM. */
int queue_forget(struct queue *q, const char *function, struct err *err) must_check;

struct queue_stats {
	uint64_t events;   /* accepted and neither handled nor dead */
	uint64_t taken;	   /* of these */
	uint64_t accepted; /* these four since it was opened */
	uint64_t done;
	uint64_t failed; /* tries */
	uint64_t dead;
	uint64_t commits; /* transactions that were written */
};

void queue_stats(struct queue *q, struct queue_stats *stats);
