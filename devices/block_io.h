/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_io.h - reads and writes of a drive's file that go on while others begin: one io_uring per
 * drive, which can do nothing but these operations on this file. Where io_uring is refused (seccomp,
 * kernel.io_uring_disabled) each is done when it is started.
 *
 * An operation is the caller's and stays until it is done. All functions run with the lock of the
 * VM's worker held.
 */
#pragma once

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

enum block_kind { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD, BLOCK_ZERO };

struct block_op {
	enum block_kind kind;
	bool durable;	   /* BLOCK_WRITE: on the disk when it is done */
	uint64_t off, len; /* bytes of the file; not of BLOCK_FLUSH */
	const struct iovec *iov;
	uint32_t niov;
	/* @res: bytes read or written, maybe fewer than asked for; 0; or -errno. May start others. */
	void (*done)(struct block_op *op, int64_t res);
};

struct block_io {
	int fd; /* the owner's; -1: none yet */
	bool has_ring;
	struct io_uring ring;
	uint32_t in_flight, unsubmitted;
};

/* @depth: operations in flight at most. Without io_uring it works, too. */
void block_io_init(struct block_io *io, uint32_t depth);

/* Waits for what is in flight; nobody is told. Safe on a zeroed one. */
void block_io_fini(struct block_io *io);

/* Work on @fd from here on; nothing is in flight. Errors: what io_uring_register says. */
int block_io_attach(struct block_io *io, int fd, struct err *err) must_check;

/* Has a new result when it is readable; -1: there is never a need to wait. */
int block_io_watch_fd(const struct block_io *io);

/* Begin @op. Returns whether it is done already, with @res; done() is not called then. */
bool block_io_start(struct block_io *io, struct block_op *op, int64_t *res);

/* Do @op here and now, waiting for the disk. */
int64_t block_io_do(const struct block_io *io, const struct block_op *op);

/* Hand over what was started. False: the kernel has no room now; to be tried again. */
bool block_io_submit(struct block_io *io);

/* Tell of what is done. Returns how many. */
uint32_t block_io_reap(struct block_io *io);

/* Wait until something is done, and tell of it. Errors: what io_uring_enter says. */
int block_io_wait(struct block_io *io) must_check;
