/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus.h - which device answers at which guest address. One bus for MMIO, one for port I/O.
 * Ranges are added while the VM is made and never change afterwards, so lookups take no lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/util.h"

struct err;

#define BUS_MAX_RANGES 32u /* ours: more than a microVM's devices need */

/* One access of the guest. */
struct bus_access {
	uint64_t off;  /* bytes from the start of the range */
	uint32_t len;  /* 1, 2, 4 or 8 */
	bool is_write; /* data comes from the guest; else the device fills it */
	uint8_t *data; /* len bytes, little-endian; all ones before a read */
};

/* Returns 0: go on; BUS_STOP: leave the run loop, the device says why; -errno: host failed. */
#define BUS_STOP 1
typedef int bus_handler(void *dev, const struct bus_access *access);

struct bus_range {
	uint64_t base, size;
	bus_handler *handler;
	void *dev;
};

struct bus {
	const char *name; /* "mmio" or "pio", for errors */
	struct bus_range ranges[BUS_MAX_RANGES];
	unsigned int nranges; /* sorted by base */
	uint64_t misses;      /* accesses that no device answered */
};

/* Errors: -ENOSPC too many ranges; -EEXIST overlap; -EINVAL empty or past the end. */
int bus_add(struct bus *bus, const struct bus_range *range, struct err *err) must_check;

/* Hand one access at guest address @addr to its device; a miss reads as all ones. */
int bus_access(struct bus *bus, uint64_t addr, void *data, uint32_t len, bool is_write);
