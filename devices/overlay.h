/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay.h - a writable drive of a machine that must not write to the file: what the machine
 * writes stays in memory of its own (copy on write, in blocks of 4 KiB). Below that may lie frozen
 * blocks, which the image's machine had written before it was frozen, and all clones share; and
 * below them the file, the base.
 *
 * Bytes are found in runs, each wholly in memory or wholly in the base. One user at a time: whoever
 * holds the lock of the VM's worker.
 */
#pragma once

#include <stdint.h>

#include "devices/blocks.h"

struct overlay {
	const struct blocks *frozen; /* the owner's; NULL: none */
	int base_fd;		     /* the same */
	struct blocks own;
	uint64_t limit;	   /* blocks of its own at most */
	uint64_t count;	   /* that it has */
	uint64_t low, end; /* they are in [low, end) */
};

/*
 * overlay_init - nothing written yet.
 * @base_fd: of @size bytes; it and @frozen stay until overlay_fini. @limit: in blocks; 0: the whole drive.
 * Errors: as blocks_create; -EINVAL @frozen is of a drive of another size.
 */
int overlay_init(struct overlay *o, int base_fd, uint64_t size, const struct blocks *frozen,
		 uint64_t limit, struct err *err) must_check;
void overlay_fini(struct overlay *o); /* a zeroed one, too */

/*
 * overlay_find - where are the bytes from @off on?
 * @at: gets their address, NULL: they are in the base. Returns how many of @len are there, at least 1.
 * @off, @len: inside the drive, as in all functions below; @len > 0.
 */
uint64_t overlay_find(const struct overlay *o, uint64_t off, uint64_t len, const uint8_t **at);

/*
 * overlay_claim - make all blocks of [off, off+len) the machine's own, to be written to at *@at.
 * What is to stay of the first and the last comes from below.
 * Errors: -ENOSPC the limit; or what pread of the base says. Nothing is claimed then.
 */
int overlay_claim(struct overlay *o, uint64_t off, uint64_t len, uint8_t **at) must_check;

/* Bytes that are zero from now on, whatever lies below. Needs no memory for whole blocks.
 * Errors: as overlay_claim. */
int overlay_zero(struct overlay *o, uint64_t off, uint64_t len) must_check;

/* Nobody needs these bytes any more: gives memory back, the blocks of its own are zeros. */
void overlay_discard(struct overlay *o, uint64_t off, uint64_t len);

/* Forget all that the machine wrote. Cost: that of what it wrote; nothing if that was nothing. */
void overlay_reset(struct overlay *o);

/* What is in memory of block @block: own before frozen. NULL: it is in the base. */
const uint8_t *overlay_block(const struct overlay *o, uint64_t block);
