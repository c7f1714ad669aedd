/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_blk.h - a virtio disk over a file of random bytes, its driver (helpers_virtio.h), and a model of
 * what is on it. One at a time; the names begin with "rig".
 */
#pragma once

#include "devices/virtio_blk.h"
#include "engine/err.h"
#include "tests/helpers_virtio.h"

#define RIG_SECTORS 2049u /* the last block of an overlay is cut */
#define RIG_SIZE    ((uint64_t)RIG_SECTORS * DRIVE_SECTOR)

/* Where the parts of the i-th request of a batch lie; data has the second MiB and what follows. */
#define RIG_HEADER(i) (DRIVER_BUFFERS - 0x10000 + (i)*64)
#define RIG_STATUS(i) (RIG_HEADER(i) + 32)
#define RIG_DATA      DRIVER_BUFFERS

struct rig {
	struct driver driver;
	struct drive drive;
	struct virtio_blk_drive config; /* of the next rig_begin, but for its drive */
	struct err err;
	char scratch[256]; /* with the file, "disk" */
	uint8_t model[RIG_SIZE];
};
extern struct rig rig;

void rig_begin(enum drive_mode mode);
void rig_end(void);

struct rig_request {
	uint32_t type;
	uint64_t sector;
	uint32_t len;
	gpa_t data;
};

/* The i-th of a batch: header, data in @parts segments, status. Entries from @head on are its. Returns
 * how many. */
uint16_t rig_offer(uint32_t i, const struct rig_request *r, uint16_t head, uint16_t parts);

/* Wait for one that is done. */
void rig_take(struct vring_used_elem *e);
uint8_t rig_status(uint32_t i);

/* One request, alone. Returns its status. */
uint8_t rig_ask(uint32_t type, uint64_t sector, uint32_t len);
uint8_t rig_clear(uint32_t type, uint64_t sector, uint32_t n, uint32_t flags);
void rig_write(uint64_t sector, uint32_t n, uint8_t value);

/* Expect all of the disk to be as the model. */
void rig_expect_model(void);

/* Requests by chance, in batches; then the disk is as the model, and with DRIVE_RW so is its file. */
void rig_random_io(int rounds, enum drive_mode mode);
