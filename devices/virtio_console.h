/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_console.h - a console of one port (virtio 1.2, 5.3): what the guest writes is handed out, what
 * a descriptor brings is handed in. Nothing is kept on the way: input that the guest has no room for
 * stays where it is.
 */
#pragma once

#include <linux/virtio_console.h>

#include "devices/virtio.h"

/* Everything that survives a freeze. */
struct virtio_console_state {
	struct virtio_state virtio;
	uint64_t out_bytes, in_bytes; /* counters */
};

/* Of struct device_spec; NULL: nobody listens, and nobody types. */
struct virtio_console_setup {
	/* With the worker's lock held. NULL: what the guest writes is dropped. */
	void (*out)(void *arg, const void *data, size_t len);
	void *arg;
	int input_fd;	     /* watched and read; stays the caller's. -1: no input */
	uint16_t cols, rows; /* of the screen; 0: unknown */
};

struct virtio_console {
	struct virtio_dev virtio;
	struct virtio_console_state s;
	struct virtio_console_setup setup;
	struct virtio_console_config config; /* what the guest reads */
	struct loop_watch input;
	bool is_watched, is_at_end; /* the input */
};

extern const struct device_type virtio_console_type;

/* The screen has another size. The worker's lock is held. */
void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows);
