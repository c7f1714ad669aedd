/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk_request.h - one request of a disk, from the guest's bytes to a status. It goes in steps: what is
 * in memory is copied, what is in the file is asked of it, and when that came the next step begins,
 * until all is there or one fails.
 */
#pragma once

#include "devices/block_io.h"
#include "devices/virtq.h"

struct virtio_blk;

/* Ours: a segment of a request as large as this, and as many of them (VIRTQ_MAX_SEGS less header and
 * status), bound how long the lock of the worker is held for a request. */
#define BLK_SIZE_MAX  (64u << 10)
#define BLK_SEG_MAX   (VIRTQ_MAX_SEGS - 2)
#define BLK_DATA_MAX  ((uint64_t)BLK_SEG_MAX * BLK_SIZE_MAX)
#define BLK_RANGE_MAX (1u << 17) /* sectors of one discard or write-zeroes: 64 MiB */

struct blk_request {
	struct virtio_blk *blk;
	struct blk_request *next; /* free, too */
	uint32_t type;		  /* VIRTIO_BLK_T_* */
	uint64_t off, len, done;  /* bytes of the drive; the first @done of @len are */
	uint64_t moves; /* bytes of the request, for the rate limit and for who waits */
	struct block_op op;
	struct virtq_req req;
	struct iovec slice[VIRTQ_MAX_SEGS]; /* of @req, that @op is about */
};

/*
 * blk_request_begin - what r->req, of r->blk, asks for. virtio_blk_finish is called for it, now or later.
 * Returns r->moves. Errors: -EPROTO it has no header or no status byte.
 */
int64_t blk_request_begin(struct blk_request *r);
