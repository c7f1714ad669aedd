/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.h - what every virtio device shares: status, features, queues, interrupts, and the MMIO
 * transport version 2 (virtio 1.2, 4.2) at the board's next free place. virtio_mmio.c has the
 * registers, virtio.c the rest.
 *
 * A device type is
 *	struct x_state { struct virtio_state virtio; ... };	  // first: the core finds it there
 *	struct x { struct virtio_dev virtio; struct x_state s; ... };
 * with one struct virtio_ops and one struct device_type. Its init sets features and config and calls
 * virtio_init; the other hooks are virtio_connect and so on, or functions that call them.
 *
 * Threads: the worker's lock is held whenever a hook of virtio_ops runs: on the worker's thread, or
 * on the vCPU's when it writes to a register.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/virtq.h"
#include "engine/bus.h"
#include "engine/device.h"
#include "engine/loop.h"

struct err;
struct virtio_dev;

#define VIRTIO_MAX_QUEUES 8u /* ours: a balloon has 5 */

/* What survives a freeze, of every virtio device. */
struct virtio_state {
	uint64_t driver_features;
	uint32_t device_features_sel, driver_features_sel,
		queue_sel;	    /* as the driver left them */
	uint32_t status;	    /* VIRTIO_CONFIG_S_* */
	uint32_t interrupt_status;  /* VIRTIO_MMIO_INT_* */
	uint32_t config_generation; /* 4.2.2.1 */
	struct virtq_state queues[VIRTIO_MAX_QUEUES];
};
extern const struct state_desc virtio_state_desc;

/* The first row of the table of a device's state struct @T. */
#define VIRTIO_STATE_ROW(T) STATE_NESTED(T, virtio, &virtio_state_desc)

/* The counters of every struct T that begins with a struct virtio_dev. */
#define VIRTIO_COUNTERS(T)                                                                     \
	{ "notifications", offsetof(T, virtio.kicks) },                                        \
		{ "interrupts", offsetof(T, virtio.interrupts) },                              \
	{                                                                                      \
		"violations", offsetof(T, virtio.violations)                                   \
	}

struct virtio_ops {
	uint32_t id; /* VIRTIO_ID_* */
	uint32_t nqueues;
	uint16_t queue_sizes[VIRTIO_MAX_QUEUES]; /* powers of two, up to VIRTQ_MAX_SIZE */

	/* There may be something in @queue, which is ready: after a notification, once when the driver
	 * is ready, and once after a load. 0, or -errno: then the device needs a reset. */
	int (*kick)(struct virtio_dev *dev, uint32_t queue);
	/* Wait until no request is in flight: before a reset, and before a queue is taken away. What was
	 * in flight was pushed. NULL: none ever is. */
	void (*settle)(struct virtio_dev *dev);
	/* The driver resets the device, settled: set what is the device's own to what it was at first.
	 * May be NULL. */
	void (*reset)(struct virtio_dev *dev);
	/* The driver wrote to virtio_dev.config: @len bytes at @off, in bounds. NULL: it may not. */
	void (*config_write)(struct virtio_dev *dev, uint32_t off, const void *data,
			     uint32_t len);
};

/* Where the notifications of one queue come in. */
struct virtio_notify {
	struct loop_watch watch; /* an eventfd; -1: not connected */
	struct virtio_dev *dev;
	uint32_t queue;
};

struct virtio_dev {
	struct device dev;
	const struct virtio_ops *ops;
	uint64_t features;     /* offered; virtio_init adds what the core does */
	const uint8_t *config; /* the device's config space; NULL: none */
	uint32_t config_size;

	struct virtio_state *s; /* at the start of the device's state */
	struct virtq queues[VIRTIO_MAX_QUEUES];
	struct virtio_notify notify[VIRTIO_MAX_QUEUES];
	uint32_t place;				/* of the board */
	bool loaded;				/* virtio_load was here */
	uint64_t kicks, interrupts, violations; /* counters */
};

/* dev->features, config and config_size set: take the next place of the board and claim its
 * registers. Errors: -ENOSPC the board is full. */
int virtio_init(struct virtio_dev *dev, const struct virtio_ops *ops,
		struct err *err) must_check;

/* Hooks of struct device_type for a device that has nothing of its own to do there. */
int virtio_connect(struct device *dev, struct err *err);
int virtio_drain(struct device *dev, struct err *err); /* settles */
/* The caller holds the worker's lock, if the worker runs. Afterwards the worker kicks the queues where
 * a notification may have been lost with the freeze.
 * Errors: -ERR_UNFIT features that this device does not offer; -ERR_DAMAGED what can never be. */
int virtio_load(struct device *dev, struct err *err);
void virtio_fini(struct device *dev);

static inline struct virtio_dev *virtio_of(struct device *dev)
{
	return container_of(dev, struct virtio_dev, dev);
}

static inline bool virtio_has(const struct virtio_dev *dev, uint32_t feature)
{
	return dev->s->driver_features >> feature & 1;
}

/* Is @queue in use: the driver is ready, the queue is, and the device is not broken? */
bool virtio_is_live(const struct virtio_dev *dev, uint32_t queue);

/* Have the device look at @queue, if it is live: what a notification does. */
void virtio_kick(struct virtio_dev *dev, uint32_t queue);

/*
 * virtio_serve - a kick for devices that answer on the spot: hand requests to @one, which returns the
 * bytes it wrote, or -errno. As many as the queue is long; if there are more, the worker comes back,
 * so that a driver that never stops does not keep the others waiting.
 */
typedef int64_t virtio_one(struct virtio_dev *dev, const struct virtq_req *req);
int virtio_serve(struct virtio_dev *dev, uint32_t queue, virtio_one *one);

/* Have the worker kick @queue, as soon as others had their turn. */
void virtio_kick_later(struct virtio_dev *dev, uint32_t queue);

/* Requests of @queue were pushed: interrupt the driver, if it wants that. */
void virtio_signal(struct virtio_dev *dev, uint32_t queue);

/* The device changed its config space. */
void virtio_config_changed(struct virtio_dev *dev);

/* It cannot go on: DEVICE_NEEDS_RESET. @why: for the log, which says it now and then. */
void virtio_break(struct virtio_dev *dev, const char *why);

/* The driver did what it must not, and nothing comes of it. */
void virtio_violation(struct virtio_dev *dev, const char *why);

/* Registers, and what they come to. */
int virtio_access(void *dev, const struct bus_access *access);
void virtio_set_status(struct virtio_dev *dev, uint32_t status);
void virtio_set_ready(struct virtio_dev *dev, uint32_t queue, bool ready);
