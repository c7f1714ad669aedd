/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipe.h - pipes and counters (eventfd) within one process. Who would have to wait waits for
 * ever, as there is nobody else: see wait.h.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

struct file;

/* One end is closed for good. */
void pipe_close(const struct file *f);

/* Buffers were checked. Returns bytes, -EAGAIN, -EPIPE, or PIPE_WAIT: forever. */
int64_t pipe_read(struct file *f, void *buf, uint64_t size);
int64_t pipe_write(struct file *f, const void *buf, uint64_t size);
int64_t pipe_count_read(struct file *f, void *buf, uint64_t size);
int64_t pipe_count_write(struct file *f, const void *buf, uint64_t size);

#define PIPE_WAIT (-4096) /* no errno */

/* POLLIN and POLLOUT, POLLHUP and POLLERR of an end or a counter. */
uint32_t pipe_events(const struct file *f);

call_fn pipe_make;   /* pipe */
call_fn pipe_make2;  /* pipe2 */
call_fn pipe_count;  /* eventfd */
call_fn pipe_count2; /* eventfd2 */
