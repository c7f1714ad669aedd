/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_blk.h - a disk (virtio 1.2, 5.2): one queue, requests that end in any order, a serial number,
 * a rate limit. Behind it is a struct drive: read-only, written to, or below a copy-on-write overlay.
 * virtio_blk.c is the device, blk_request.c what one request does.
 *
 * A shell has a disk before it knows which machine it will hold: that is attached later.
 *
 * A machine is frozen with nothing in flight, and what it wrote to a file is on the disk (drain). Of
 * an overlay the image holds the blocks (virtio_blk_overlay; snapshot/overlay_file.h); loading the
 * state empties it, so a rewind takes back what was written. What was written to a file stays, and so
 * does what was taken of the limits: they are for the host's good, whatever the machine is rewound to.
 */
#pragma once

#include <linux/virtio_blk.h>

#include "devices/blk_request.h"
#include "devices/block_io.h"
#include "devices/drive.h"
#include "devices/overlay.h"
#include "devices/rate.h"
#include "devices/virtio.h"

/* What the device is given, as the config of struct device_spec or later. What it points to stays the
 * caller's, until the VM is destroyed. */
struct virtio_blk_drive {
	const struct drive *drive; /* NULL: attached later */
	const struct blocks
		*frozen; /* DRIVE_OVERLAY: what its machine had written; NULL: nothing */
	uint64_t
		max_blocks; /* DRIVE_OVERLAY: of BLOCKS_SIZE, that the machine may write; 0: all */
	struct rate_limit bytes, ops;
	/* Of a machine that boots; one that is loaded keeps its own. No NUL where all are used. */
	char serial[VIRTIO_BLK_ID_BYTES];
};

struct virtio_blk_state {
	struct virtio_state virtio;
	uint64_t sectors;
	struct rate_state bytes, ops; /* as they were saved or loaded last */
	uint8_t serial[VIRTIO_BLK_ID_BYTES];
	uint32_t read_only; /* 0 or 1 */
};

/* Since the device was made. */
struct virtio_blk_stats {
	uint64_t reads, writes, flushes, discards, zeroes; /* requests that went well */
	uint64_t read_bytes, written_bytes;
	uint64_t errors;    /* requests that the drive or the overlay failed */
	uint64_t refused;   /* that were wrong, or unknown */
	uint64_t throttled; /* times that the rate limit made the guest wait */
};

struct virtio_blk {
	struct virtio_dev virtio;
	struct virtio_blk_state s;
	struct virtio_blk_config config;
	struct virtio_blk_drive drive;
	struct overlay overlay; /* of DRIVE_OVERLAY */
	struct rate bytes, ops;
	struct rate_state bytes_now, ops_now;
	bool has_buckets; /* they are this machine's, not those of a full start */
	bool is_rewound;  /* and nothing was taken since */
	struct block_io io;
	struct loop_watch io_watch;
	struct loop_watch again; /* a timerfd: look at the queue once more; -1: not connected */
	struct blk_request *requests, *free;
	uint64_t moving; /* bytes of requests that have begun and not ended */
	uint64_t begun;	 /* of those that have begun in this turn */
	bool is_dirty;	 /* something was written since the last flush of ours */
	bool has_pushed; /* the driver has not been told */
	struct virtio_blk_stats stats;
};

extern const struct device_type virtio_blk_type;

/*
 * virtio_blk_attach - give a disk that has none its drive, before a state is loaded.
 * Errors: -EINVAL frozen blocks that do not go with it; and as overlay_init.
 */
int virtio_blk_attach(struct device *dev, const struct virtio_blk_drive *drive,
		      struct err *err) must_check;

/* What the machine wrote, drained; NULL: the drive is of another mode. */
const struct overlay *virtio_blk_overlay(struct device *dev);

const struct virtio_blk_stats *virtio_blk_stats(struct device *dev);

/* For blk_request.c: @r is done, @status (VIRTIO_BLK_S_*) goes to the guest behind @written bytes. */
void virtio_blk_finish(struct blk_request *r, uint8_t status, uint32_t written);
