/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_queue.h - a queue in a scratch directory, and what its tests do most: one at a time. */
#pragma once

#include "engine/err.h"
#include "tools/thawd/queue.h"

struct json_t;

struct trunk {
	char dir[256];
	struct queue_config config; /* of the next trunk_open; at first retries come at once */
	struct queue *queue;
	int answers; /* since it was opened */
	int refused; /* of these */
	struct err err;
};
extern struct trunk trunk;

void trunk_make(void);
void trunk_remove(void);
/* Open it with trunk.config; close it before if it is open. */
void trunk_open(void);
void trunk_close(void);

/* One of function "f", payload "x", and no other details. */
struct queue_event trunk_event(uint32_t max_age_ms, uint32_t retries);
/* Put and wait for the answer, which is returned. */
int trunk_put_event(const struct queue_event *event);
/* The same with two retries and no other details; asserts. */
void trunk_put(const char *function, const char *payload);
/* Without waiting; and wait for so many answers since it was opened. */
void trunk_put_only(const char *function, const char *payload);
void trunk_await(int answers);

/* Wait for the next event. NULL: there is none. */
const struct queue_event *trunk_take(int for_ms);

/* The dead-letter file, which is kept until the next call; and its last line, for json_decref. */
const char *trunk_letters(void);
struct json_t *trunk_letter(void);
