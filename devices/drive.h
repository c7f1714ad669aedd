/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drive.h - the host's side of a disk: a raw file or a block device, and what a machine may do to it.
 *
 * Who opens one of these takes a lock (flock(2)) that lasts as long as the descriptor and its
 * copies: whoever writes to the file is alone with it, readers and bases of overlays share it.
 * The owner opens and closes; devices only use it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

#define DRIVE_SECTOR 512u /* virtio 1.2, 5.2.4: whatever the disk's own sectors are */

enum drive_mode {
	DRIVE_RO,      /* the guest may not write */
	DRIVE_RW,      /* what it writes goes to the file */
	DRIVE_OVERLAY, /* what it writes stays with the machine (overlay.h), the file as it is */
};

struct drive {
	int fd;
	uint64_t size; /* bytes; a multiple of DRIVE_SECTOR, not 0 */
	enum drive_mode mode;
};

/*
 * drive_open - open and lock @path.
 * Errors: -EBUSY another user has a lock that does not go with this one; -EINVAL neither a file nor
 * a block device, or its size is not whole sectors; and what open says.
 */
int drive_open(struct drive *d, const char *path, enum drive_mode mode,
	       struct err *err) must_check;

/*
 * drive_adopt - the same with a descriptor that somebody else opened.
 * @fd: of @d from here on, also on failure. Errors: as drive_open; -EACCES it was not opened for what
 * @mode does, or for more.
 */
int drive_adopt(struct drive *d, int fd, enum drive_mode mode, struct err *err) must_check;

void drive_close(struct drive *d); /* a failed or zeroed one, too: { .fd = -1 } */
