/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io.h - what the members of an image share: reads and writes that are whole or an error,
 * the test for bytes that need not be stored, and progress. Keeps no state, any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

/* Told now and then how far a long job is; NULL, or a NULL step: nobody asks. */
struct io_progress {
	/* @done and @total: bytes of guest memory. Called on the thread that does the job. */
	void (*step)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

static inline void io_step(const struct io_progress *p, uint64_t done, uint64_t total)
{
	if (p && p->step)
		p->step(p->arg, done, total);
}

/*
 * io_read - read @len bytes at offset @off, all of them.
 * Errors: -ERR_DAMAGED the file ends before; otherwise what pread says.
 */
int io_read(int fd, void *buf, size_t len, uint64_t off, struct err *err) must_check;

/* io_write - write @len bytes at offset @off, all of them. Errors: what pwrite says. */
int io_write(int fd, const void *buf, size_t len, uint64_t off, struct err *err) must_check;

/* io_file_size - bytes of an open file into @size. Errors: what fstat says. */
int io_file_size(int fd, uint64_t *size, struct err *err) must_check;

/* Are all @len bytes zero? */
bool io_is_zero(const void *buf, size_t len);
