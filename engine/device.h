/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device.h - what a device model is to the engine: a name, a state table and a few hooks.
 *
 * The list of types is passed in when a VM is made (vm_create), in restore order, so the
 * engine names no device. A device keeps everything that survives a freeze in one struct that
 * type->state describes; whatever else it holds is rebuilt.
 */
#pragma once

#include <stddef.h>

#include "engine/state.h"
#include "engine/util.h"

struct err;
struct vm;
struct device;

/* Something that a device counts since it was made, for who looks at it: a uint64_t. */
struct device_counter {
	const char *name;
	size_t off; /* bytes from the device's start */
};

struct device_type {
	const char *name;
	size_t size;		 /* bytes of the struct that starts with struct device */
	size_t state_off;	 /* bytes from its start to the member that @state describes */
	struct state_desc state; /* section name: "dev." and the type's name */

	/* Claim addresses and memory slots. Runs before any vCPU exists; the only moment when
	 * slots may be added. @config: of struct device_spec. */
	int (*init)(struct device *dev, const void *config, struct err *err);
	/* The interrupt controller and the vCPUs are there: ask KVM for irqfds and ioeventfds, and
	 * the VM's worker to watch descriptors. Nothing runs yet. May be NULL. */
	int (*connect)(struct device *dev, struct err *err);
	/* vCPUs are stopped, the worker's lock is held: wait until nothing of the guest's is in
	 * flight, and what it wrote is where it was to go. May be NULL. */
	int (*drain)(struct device *dev, struct err *err);
	/* Bring the state struct up to date; vCPUs are stopped. May be NULL. */
	int (*save)(struct device *dev, struct err *err);
	/* The state struct has been loaded: rebuild the rest. May be NULL. */
	int (*load)(struct device *dev, struct err *err);
	/* Also called after a failed init; must cope with a zeroed struct. May be NULL. */
	void (*fini)(struct device *dev);
	/* Up to one without a name; NULL: it counts nothing. */
	const struct device_counter *counters;
};

struct device {
	const struct device_type *type;
	struct vm *vm;
	uint32_t instance; /* how many of its type come before it in the VM */
};

/* One device of a VM that is to be made. */
struct device_spec {
	const struct device_type *type;
	const void *config; /* whatever its init hook expects; is read only there */
};

/* What @c stands at. The lock of the VM's worker is held. */
static inline uint64_t device_count(const struct device *dev, const struct device_counter *c)
{
	return *(const uint64_t *)(const void *)((const char *)dev + c->off);
}

/* The struct that type->state describes. */
static inline void *device_state(struct device *dev)
{
	return (char *)dev + dev->type->state_off;
}

/* Make a zeroed device of @spec's type and init it. NULL and @err on failure. */
struct device *device_create(const struct device_spec *spec, struct vm *vm, struct err *err);
void device_destroy(struct device *dev);
