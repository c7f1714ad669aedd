/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - the paravirtual device through which host and guest exchange one event and one
 * reply, and by which a clone learns that it is one. Contract: guest/abi.h, docs/mailbox.md.
 *
 * The register page has no memory behind it: a write stops the vCPU. The window is memory that
 * both sides see; it is made outside (mailbox_memfd), attached to a machine, and never part of
 * an image. Everything in it is the guest's to scribble on: what the guest tells is copied
 * once and checked, and nothing that the host wrote is ever read back.
 * All functions run on the vCPU's thread, or while the vCPU is stopped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "engine/clock.h"
#include "engine/device.h"
#include "engine/vcpu_state.h"
#include "guest/abi.h"

struct err;

/* Everything that survives a freeze. */
struct mailbox_state {
	uint64_t mono_ns;      /* the guest's CLOCK_MONOTONIC when it was stopped */
	uint64_t event_number; /* events given so far */
};

/* Why the vCPU stopped at this device. */
enum mailbox_stop {
	MAILBOX_NONE,  /* it did not */
	MAILBOX_NEXT,  /* it waits for an event; there may be a reply */
	MAILBOX_CRASH, /* see mailbox_crash() */
	MAILBOX_EXIT,  /* see exit_status */
};

/* What the host does for the guest on the spot. Either may be NULL. */
struct mailbox_ops {
	void (*log)(void *arg, uint32_t stream, const void *data, size_t len);
	ssize_t (*input)(void *arg, void *buf, size_t len); /* bytes, 0 at the end, -errno */
	void *arg;
};

struct mailbox {
	struct device dev;
	struct mailbox_state s;
	uint8_t *window; /* ABI_WINDOW_SIZE bytes */
	int window_fd;	 /* the memfd behind it; not owned */
	enum mailbox_stop stop;
	bool waiting;	      /* at NEXT, for an event */
	size_t reply_size;    /* after MAILBOX_NEXT, bytes; at most ABI_REPLY_MAX */
	uint32_t exit_status; /* after MAILBOX_EXIT; the low 8 bits of exit_group() */
	struct mailbox_ops ops;
	struct clock_scale scale;	/* of the guest's TSC */
	struct vcpu_tsc_now base;	/* when CLOCK was written */
	nsec_t base_mono_ns;		/* what CLOCK said CLOCK_MONOTONIC was then */
	uint64_t log_bytes, violations; /* counters: bytes logged, nonsense refused */
};

extern const struct device_type mailbox_type;

/* The mailbox of @vm, or NULL. */
struct mailbox *mailbox_of(const struct vm *vm);

/* Memory for one window, whose descriptor is the device's config (an int): a memfd of ABI_WINDOW_SIZE that can neither shrink
 * nor grow. */
int mailbox_memfd(struct err *err) must_check;

/*
 * mailbox_renew - before the first instruction after boot, restore and rewind: a new
 * generation, fresh entropy, and CLOCK, so that the guest's time goes on from where it stopped.
 * @now: the guest's TSC; @tsc_khz: its rate.
 * Errors: -EIO when the kernel has no randomness to give.
 */
int mailbox_renew(struct mailbox *mb, struct vcpu_tsc_now now, uint32_t tsc_khz,
		  struct err *err) must_check;

/* Put an event into the window of a guest that waits at NEXT. @data: NULL: its bytes are there
 * already, by another mapping of the window. Errors: -EMSGSIZE; -EBUSY it does not wait: it is
 * still at the last one, or at its end. */
int mailbox_put_event(struct mailbox *mb, const void *data, size_t len,
		      struct err *err) must_check;

/* The reply of a guest that stopped at NEXT: points into the window, valid until it runs. */
struct mailbox_reply {
	const uint8_t *data;
	size_t len; /* at most ABI_REPLY_MAX */
};
struct mailbox_reply mailbox_reply(const struct mailbox *mb);

/* A private copy of the crash record. */
struct abi_crash mailbox_crash(const struct mailbox *mb);

/* The same as text: a line of what happened, then the registers; no newline at the end. */
#define MAILBOX_CRASH_TEXT 768u /* bytes that are always enough */
void mailbox_crash_text(const struct mailbox *mb, char *text, size_t size);

/* When the guest says it ran its first instruction after NEXT, on the host's clock_monotonic().
 * 0 where what it says cannot be: before @from or after @to. */
nsec_t mailbox_first_instruction(const struct mailbox *mb, nsec_t from, nsec_t to);
