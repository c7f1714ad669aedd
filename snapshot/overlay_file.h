/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay_file.h - the blocks of a drive that a machine had written when it was frozen, as a member of
 * its image: its own and those that were frozen before, so that the file needs no other. The two
 * structs below are the bytes; then blocks follow, whole ones, in the order of the table and from the next
 * multiple of 4096 on.
 */
#pragma once

#include <stdint.h>

#include "devices/overlay.h"
#include "engine/util.h"

struct digest;
struct err;

#define OVERLAY_FILE_MAGIC   "THAWBLKS"
#define OVERLAY_FILE_VERSION 1u

/* Magic, version and CRC keep their places in every version of the file. */
struct overlay_file_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t block_size; /* BLOCKS_SIZE */
	uint64_t drive_size; /* bytes */
	uint64_t nblocks;    /* entries of the table */
	uint32_t table_crc32c;
	uint8_t reserved[24];
	uint32_t crc32c; /* of this header, this field taken as 0 */
};

enum { OVERLAY_FILE_ZERO = 1u << 0 }; /* it is zeros, and not stored */

/* In rising order of blocks. */
struct overlay_file_entry {
	uint64_t block; /* its number on the drive */
	uint32_t flags;
	uint32_t crc32c; /* of its bytes; 0 where they are not stored */
};

_Static_assert(sizeof(struct overlay_file_header) == 64, "as documented");
_Static_assert(sizeof(struct overlay_file_entry) == 16, "as documented");

/* What overlay_file_header.crc32c has to be. */
uint32_t overlay_file_header_crc(const struct overlay_file_header *h);

/* The size of the largest one, of a drive that was written from end to end. */
uint64_t overlay_file_max(uint64_t drive_size);

/*
 * overlay_file_write - what is in memory of @o, to where @fd holds nothing from @at on. Its machine does not
 * run. @size: gets the bytes that it takes. Errors: -ENOMEM; what pwrite says.
 */
int overlay_file_write(int fd, uint64_t at, const struct overlay *o, uint64_t *size,
		       struct err *err) must_check;

/*
 * overlay_file_load - the blocks of the file @fd, frozen, for a drive of @drive_size bytes. It is read
 * once, from its beginning to its end.
 * @sha256: of all of it; NULL: nobody knows. @frozen, @memfd: get the blocks and their descriptor, the
 * caller's: blocks_close and close.
 * Errors: -ERR_DAMAGED not what was written; -ERR_UNFIT of another version, or of another drive.
 */
int overlay_file_load(int fd, uint64_t drive_size, const struct digest *sha256,
		      struct blocks *frozen, int *memfd, struct err *err) must_check;
