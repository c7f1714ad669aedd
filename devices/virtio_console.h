/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio_console.h - a console of one port (virtio 1.2, 5.3): what the guest writes is handed out, what
 * a descriptor brings is handed in. Nothing is kept on the way: input that the guest has no room for
 * stays where it is.
 */
#pragma once

#include <linux/virtio_console.h>
#include <sys/types.h>

#include "devices/virtio.h"

/* Everything that survives a freeze. */
struct virtio_console_state {
	struct virtio_state virtio;
	uint64_t out_bytes, in_bytes; /* counters */
};

/* The other end of the line. Any may be NULL. With the worker's lock held. */
struct virtio_console_ops {
	/* Take @len bytes that the guest sent: they are its memory, and may change meanwhile. */
	void (*out)(void *arg, const void *data, size_t len);
	/* Read what virtio_console_listen's descriptor has, in place of read(2): bytes, 0 at the end,
	 * -EAGAIN nothing for now. */
	ssize_t (*in)(void *arg, int fd, void *buf, size_t len);
	void *arg;
};

struct virtio_console {
	struct virtio_dev virtio;
	struct virtio_console_state s;
	struct virtio_console_ops ops;	     /* set before the machine runs */
	struct virtio_console_config config; /* what the guest reads */
	bool has_input;	 /* virtio_console_listen, and no end of it so far */
	bool is_watched; /* the guest has room for it */
	struct loop_watch input;
};

extern const struct device_type virtio_console_type;

/* The console of @vm, or NULL. */
struct virtio_console *virtio_console_of(const struct vm *vm);

/* Receive what comes from @fd, which stays the caller's, and which epoll can wait for. Once, before the
 * machine runs. */
void virtio_console_listen(struct virtio_console *c, int fd);

/* The screen has another size; 0: unknown. The worker's lock is held, if the machine runs. */
void virtio_console_resize(struct virtio_console *c, uint16_t cols, uint16_t rows);
