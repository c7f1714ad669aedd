/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue_state.h - between the queue's own files only: queue.c is the caller's side, queue_thread.c
 * the thread's, queue_event.c what becomes of one event, queue_sql.c tables and statements.
 *
 * An item is an event on its way. It is in one list at a time, and that one says whose it is:
 *
 *	requests > (the thread) > answers > freed			queue_put
 *	(the thread) > ready > taken > requests > (the thread) > freed	queue_take to queue_done
 *
 * Which events are out is in a table of the connection, `taken`, so that it is undone with the
 * transaction and gone with the process.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/queue.h>

#include "engine/err.h"
#include "tools/thawd/db.h"
#include "tools/thawd/queue.h"

enum queue_verb { QUEUE_PUT, QUEUE_DONE, QUEUE_FAIL, QUEUE_DEFER, QUEUE_FORGET };

struct queue_item {
	TAILQ_ENTRY(queue_item) link;
	enum queue_verb verb;
	struct queue_event event; /* points into bytes[] */
	queue_accepted *accepted;
	void *arg;
	int ret;
	struct err err;
	uint32_t delay_ms;
	char *error; /* owned; NULL: nothing known */
	void *reply; /* owned */
	size_t reply_len;
	char bytes[];
};
TAILQ_HEAD(queue_list, queue_item);

enum queue_statement {
	QUEUE_INSERT,	   /* function, qualifier, request id, trace, client context, payload,
		       * accepted, due, expires, retries */
	QUEUE_DELETE,	   /* id */
	QUEUE_GET_EXPIRES, /* id */
	QUEUE_SET_RETRY,   /* id, due */
	QUEUE_SET_DUE,	   /* id, due */
	QUEUE_EXPIRE,	   /* function */
	QUEUE_COUNT,
	QUEUE_EXPIRED,	     /* now: one that is not taken, as QUEUE_NEXT */
	QUEUE_NEXT_FUNCTION, /* function: the one after it that has events, or NULL */
	QUEUE_NEXT,	     /* function, now: all columns of the next one due, not too old */
	QUEUE_WAKE,	     /* now: when something becomes due or too old */
	QUEUE_TAKE,	     /* id, function */
	QUEUE_UNTAKE,	     /* id */
	QUEUE_TAKEN_EACH,    /* function: how many */
	QUEUE_GET_LETTERS,   /* how much of the dead-letter file is accounted for */
	QUEUE_SET_LETTERS,   /* the same */
	QUEUE_NSTATEMENTS
};

extern const struct db_kind queue_kind;
extern const char *const queue_statements[QUEUE_NSTATEMENTS];

struct queue {
	struct queue_config config;
	pthread_t thread;
	int event_fd;
	struct queue_list taken; /* the caller's */

	/* Under lock. */
	pthread_mutex_t lock;
	pthread_cond_t asked;
	bool stop;
	struct queue_list requests, answers, ready;
	uint64_t nputs;	 /* asked for and not answered */
	uint64_t nbytes; /* of these */
	struct queue_stats stats;

	/* The thread's. */
	struct db db;
	char *last_function;	   /* whose turn it was; owned */
	uint64_t out;		   /* ready, taken, or on their way back */
	struct queue_stats change; /* what the transaction under way does to stats, or undoes */
	struct queue_list kept;	   /* could not be written: again at retry_at, as is what */
	int64_t retry_at;	   /* queue_expire does */
	FILE *letters;		   /* lines of the transaction under way */
	char *letters_text;
	size_t letters_len;
};

/* ---- queue.c ---- */

void queue_item_free(struct queue_item *item);
void queue_list_free(struct queue_list *list);

/* ---- queue_thread.c ---- */

void *queue_thread(void *arg); /* a struct queue */

/* Before the thread runs. */
int queue_thread_prepare(struct queue *q, struct err *err) must_check;

/* ---- queue_event.c; inside of a transaction ---- */

int queue_apply(struct queue *q, struct queue_item *item, int64_t now,
		struct err *err) must_check;

/* Make dead letters of what is too old. Returns 1: there may be more. */
int queue_expire(struct queue *q, int64_t now, struct err *err) must_check;

/* ---- queue_letters.c ---- */

enum queue_condition { QUEUE_EXHAUSTED, QUEUE_TOO_OLD, QUEUE_FORGOTTEN };

/* A line for the transaction under way. @tries: that failed */
int queue_letter_add(struct queue *q, const struct queue_item *item,
		     enum queue_condition condition, uint32_t tries,
		     struct err *err) must_check;

/* These lines on the disk, and in the database how far the file is accounted for. */
int queue_letters_write(struct queue *q, struct err *err) must_check;
void queue_letters_drop(struct queue *q);

/* In a transaction: delete events whose letters were written, by one that was never committed. */
int queue_letters_check(struct queue *q, struct err *err) must_check;

/* ---- queue_next.c ---- */

/* NULL: out of memory. */
struct queue_item *queue_item_copy(const struct queue_event *event);

/* The row of QUEUE_NEXT or QUEUE_EXPIRED that is there. NULL: out of memory. */
struct queue_item *queue_item_load(const struct db *db, enum queue_statement id);

/* What is due to q->ready, as far as it may. */
int queue_fill(struct queue *q, int64_t now, struct err *err) must_check;
