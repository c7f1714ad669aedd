/* SPDX-License-Identifier: Apache-2.0 */
/*
 * serial.h - a serial port, COM1, as the PC16550D is (National Semiconductor, data sheet
 * TL/C/8652), over a line without speed: what is sent is gone at once, and what has been received
 * below the trigger level has waited for long enough to be told of (character timeout).
 *
 * The guest's accesses come on the vCPU's thread, input on the device thread: the registers are
 * under the worker's lock. Output belongs to the vCPU's thread, and is handed on without the lock:
 * a terminal that stands still holds up the guest that writes to it, and nobody else.
 *
 * Interrupts pass without OUT2, their gate on a PC's board: who forgets it is served, too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/device.h"
#include "engine/loop.h"

#define SERIAL_FIFO 16u	 /* PC16550D */
#define SERIAL_LINE 512u /* bytes gathered for one write; ours */

/* Everything that survives a freeze. */
struct serial_state {
	uint8_t rx[SERIAL_FIFO]; /* received, oldest first */
	uint8_t nrx;
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t delta;	 /* MSR bits 0 to 3 */
	uint8_t overrun; /* LSR bit 1: a byte was lost (loopback only) */
	uint8_t thre;	 /* an interrupt for the empty transmitter waits to be told */
};

/* The other end of the line. Either may be NULL. */
struct serial_ops {
	/* Take @len bytes that the guest sent. On the vCPU's thread, or while it is stopped. */
	void (*out)(void *arg, const void *data, size_t len);
	/* Read what serial_listen's descriptor has, in place of read(2): bytes, 0 at the end,
	 * -EAGAIN nothing for now. On the device thread. */
	ssize_t (*in)(void *arg, int fd, void *buf, size_t len);
	void *arg;
};

struct serial {
	struct device dev;
	struct serial_state s;
	struct serial_ops ops; /* set before the machine runs */
	bool line;	       /* INTRPT as the interrupt controller knows it */
	bool was_status;       /* the last access was a read of LSR */
	bool polls;	       /* the last two were */
	bool is_paused;	       /* input waits outside until the guest wants it */
	bool has_input;	       /* serial_listen, and no end of it so far */
	struct loop_watch input;
	uint8_t out[SERIAL_LINE];
	size_t nout;
	/* counters: bytes sent and received, pieces handed on, edges of INTRPT, accesses refused */
	uint64_t sent, received, writes, interrupts, violations;
};

extern const struct device_type serial_type;

/* The serial port of @vm, or NULL. */
struct serial *serial_of(const struct vm *vm);

/*
 * serial_listen - receive what comes from @fd, which stays the caller's: when the guest wants it (it
 * has enabled the interrupt and OUT2, or polls), and as much as the FIFO has room for. The rest stays where it
 * is. Once, before the machine runs.
 * Errors: -EPERM a descriptor that epoll cannot wait for (a regular file).
 */
int serial_listen(struct serial *port, int fd, struct err *err) must_check;

/* Receive up to @len bytes; the worker's lock is held. Returns how many there was room for. */
size_t serial_input(struct serial *port, const void *data, size_t len);
