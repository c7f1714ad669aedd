/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frames.h - memory.lz4: guest memory as frames of up to 16 pages, each compressed on its
 * own, so that any of them can be had without the others. Pages of zeros are not stored: the
 * memory that frames are decoded into must be zero there already.
 * docs/image-format.md describes the bytes; the two structs below are them.
 *
 * An open struct frames is read-only: several threads may decode from it at once. The file
 * is read with pread, never mapped, so one that shrinks meanwhile is an error and no signal.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/digest.h"

struct err;
struct io_progress;
struct wset;

#define FRAMES_MAGIC	 "THAWMEMZ"
#define FRAMES_VERSION	 1u
#define FRAMES_MAX_PAGES 16u	/* ours: 64 KiB, where LZ4's window ends */
#define FRAMES_MAX_SIZE	 65536u /* bytes of FRAMES_MAX_PAGES pages */

/* Magic, version and CRC keep their places in every version of the file. */
struct frames_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t page_size; /* 4096 */
	uint64_t nframes;
	uint64_t npages;       /* stored in all frames together */
	uint64_t table_offset; /* 64 */
	uint64_t data_offset;  /* where the table ends and the first frame's bytes begin */
	uint64_t ram_size;     /* bytes of all regions together */
	uint32_t reserved;
	uint32_t crc32c; /* of this header, this field taken as 0 */
};

enum { FRAMES_RAW = 1u << 0 }; /* stored as it is, where LZ4 would not make it smaller */

/* One frame: guest pages that follow each other inside one aligned 64 KiB of guest memory. */
struct frames_entry {
	uint64_t gpa;	 /* of the first page */
	uint64_t offset; /* of the stored bytes in the file */
	uint32_t pages;	 /* 1 to 16 */
	uint32_t stored; /* bytes in the file */
	uint32_t flags;
	uint32_t crc32c;      /* of the stored bytes */
	struct digest sha256; /* of the guest pages */
};

_Static_assert(FRAMES_MAX_SIZE == FRAMES_MAX_PAGES * MEM_PAGE_SIZE, "one frame");
_Static_assert(sizeof(struct frames_header) == 64, "as documented");
_Static_assert(sizeof(struct frames_entry) == 64, "as documented");

/* Bytes of the frame's guest pages. */
static inline size_t frames_size(const struct frames_entry *e)
{
	return (size_t)e->pages * MEM_PAGE_SIZE;
}

/* What header->crc32c has to be. */
uint32_t frames_header_crc(const struct frames_header *h);

/* SHA-256 over header and table, as the manifest has it. Errors: -ENOMEM. */
int frames_table_digest(const struct frames_header *h, const struct frames_entry *table,
			struct digest *out, struct err *err) must_check;

struct frames {
	int fd;	       /* not owned */
	int direct_fd; /* the same file with O_DIRECT, -1: not to be had; not owned */
	struct frames_header header;
	struct frames_entry *table; /* header.nframes entries, sorted by gpa, all checked */
	uint64_t *order;	    /* indices of the table in the order of the stored bytes */
};

/* What a writer has to tell the manifest. */
struct frames_info {
	struct digest table; /* SHA-256 of header and table */
	uint64_t size;	     /* bytes of the file */
	uint64_t nframes;
	uint64_t npages;
};

/*
 * frames_write - write the file from offset 0 on.
 * @mem: nobody writes to it meanwhile. @progress: may be NULL.
 * @wset: NULL or without runs: frames are stored in the order of their addresses. Else its pages
 *        have frames of their own, and these are stored first: one 2 MiB of guest memory after
 *        the other in the order of their first touch, in each of them the frames in that order.
 * Errors: -ENOMEM; what pwrite says.
 */
int frames_write(int fd, const struct mem *mem, const struct wset *wset,
		 const struct io_progress *progress, struct frames_info *out,
		 struct err *err) must_check;

/* A guest page that is not where the machine has it. */
struct frames_page {
	gpa_t gpa;
	const uint8_t *data; /* MEM_PAGE_SIZE bytes */
};

/*
 * frames_write_pages - the same for @n pages, whatever they hold, also zeros. For a layer of a
 * machine that runs, so it takes LZ4's fast compressor; frames_write, for images that are made
 * once and opened often, the slow one, whose frames are smaller and decode faster.
 * @ram: the machine's regions; host pointers are not looked at.
 * @pages: rising addresses, all of them in @ram.
 */
int frames_write_pages(int fd, const struct mem *ram, const struct frames_page *pages, size_t n,
		       struct frames_info *out, struct err *err) must_check;

/*
 * frames_open - read header and table and check every field of them.
 * @fd:       stays the caller's, and open for as long as @f is used
 * @ram:      the machine's regions; host pointers are not looked at
 * @expected: SHA-256 that header and table must have; NULL: not known
 * Errors: -ERR_DAMAGED; -ERR_UNFIT another file version; -ENOMEM; what pread says.
 */
int frames_open(struct frames *f, int fd, const struct mem *ram, const struct digest *expected,
		struct err *err) must_check;
void frames_close(struct frames *f);

/* The first frame that holds @gpa or anything behind it; nframes: there is none. */
uint64_t frames_find(const struct frames *f, gpa_t gpa);

/*
 * frames_unpack - stored bytes of frame @i to guest pages, the CRC checked first.
 * @stored: table[i].stored bytes. @pages: room for table[i].pages pages; unspecified after an
 * error. Cost: no system call, no allocation.
 * Errors: -ERR_DAMAGED.
 */
int frames_unpack(const struct frames *f, uint64_t i, const void *stored, void *pages,
		  struct err *err) must_check;

/*
 * frames_decode - read frame @i and put it where it belongs in @dst.
 * @scratch: FRAMES_MAX_SIZE bytes of the caller's.
 * Errors: -ERR_DAMAGED; -ERANGE @dst has no such memory; what pread says.
 */
int frames_decode(const struct frames *f, uint64_t i, void *scratch, const struct mem *dst,
		  struct err *err) must_check;

/*
 * frames_decode_list - the same for @n frames, read in the order of @list while earlier ones are
 * decoded, by two threads where that is worth it.
 * Errors: also -ENOMEM. What else was decoded is unspecified then.
 */
int frames_decode_list(const struct frames *f, const uint64_t *list, uint64_t n,
		       const struct mem *dst, struct err *err) must_check;

/* The same for all frames, in the order in which they are stored. */
int frames_decode_all(const struct frames *f, const struct mem *dst,
		      struct err *err) must_check;

/*
 * frames_verify - check CRC and SHA-256 of every frame.
 * Errors: -ERR_DAMAGED, naming the first bad frame; -ENOMEM; what pread says.
 */
int frames_verify(const struct frames *f, const struct io_progress *progress,
		  struct err *err) must_check;
