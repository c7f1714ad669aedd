/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_virtio.h - a driver's side of a virtio device, in a VM without KVM: guest memory, buses, the
 * device thread if it is asked for, and an interrupt controller that counts. Registers go by the bus, rings lie
 * in guest memory, and everything may also be written to by hand, as an enemy does.
 */
#pragma once

#include <linux/virtio_mmio.h>

#include "devices/virtio.h"
#include "engine/vm.h"

/* RAM below and above the hole; a request's buffers begin at DRIVER_BUFFERS. */
#define DRIVER_RAM_SIZE (4u << 20)
#define DRIVER_HIGH_GPA (1ull << 32)
#define DRIVER_BUFFERS	(1u << 20)
#define DRIVER_TABLE	(2u << 20) /* room for indirect tables */

struct driver_queue {
	uint16_t size, next, seen; /* entries; made available, found used */
	gpa_t desc, avail, used;
};

struct driver {
	struct vm vm;
	struct virtio_dev *dev;
	uint32_t pulses; /* edges of its interrupt */
	struct driver_queue queues[VIRTIO_MAX_QUEUES];
};

/* A VM that has this device only. Ends the process when it cannot be made. */
void driver_init(struct driver *d, const struct device_type *type, const void *config);
void driver_fini(struct driver *d);

/* Connect the device to the VM's device thread, and start it. */
void driver_connect(struct driver *d);

/* Registers. */
uint32_t driver_read(struct driver *d, uint64_t off);
void driver_write(struct driver *d, uint64_t off, uint32_t value);
/* Any width; reads fill @data. */
void driver_access(struct driver *d, uint64_t off, void *data, uint32_t len, bool is_write);

/* Say what a driver says up to FEATURES_OK, with those of @features that are offered. Returns the
 * status. */
uint32_t driver_negotiate(struct driver *d, uint64_t features);

/* Set the queue's registers from d->queues[queue], and say that it is ready. */
void driver_set_queue(struct driver *d, uint32_t queue);

/* All of it: every queue as large as offered, DRIVER_OK. */
#define DRIVER_ALL UINT64_MAX
void driver_start(struct driver *d, uint64_t features);

/* Guest memory, which is there. */
void *driver_at(struct driver *d, gpa_t gpa, uint64_t len);

struct vring_desc *driver_desc(struct driver *d, uint32_t queue, uint32_t i);
struct vring_avail *driver_avail(struct driver *d, uint32_t queue);
struct vring_used *driver_used(struct driver *d, uint32_t queue);

/* Make a chain of @n entries of the table available, from @head on: their next is set. */
void driver_offer(struct driver *d, uint32_t queue, const struct vring_desc *chain, uint16_t n,
		  uint16_t head);
void driver_notify(struct driver *d, uint32_t queue);

/* The next used entry. false: there is none yet. */
bool driver_take(struct driver *d, uint32_t queue, struct vring_used_elem *e);
/* Wait for one, of a device thread: up to a few seconds. */
bool driver_wait(struct driver *d, uint32_t queue, struct vring_used_elem *e);
