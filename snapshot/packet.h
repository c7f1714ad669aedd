/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packet.h - what caller, zygote and shells say to each other: packets on SOCK_SEQPACKET sockets,
 * with descriptors where there are any. One shell, one socket; the zygote keeps the shell's end
 * of it to say there what became of a shell.
 *
 * A shell may have been taken over by its guest: the caller checks what comes from one
 * (packet_recv does where it says so) and takes descriptors from none whose guest ran.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/manifest.h"
#include "snapshot/rewind.h"

enum packet_type {
	/* caller -> zygote */
	PACKET_MAKE = 1, /* fds: enum packet_make_fd */
	/* zygote -> caller, on its own socket, once */
	PACKET_ZYGOTE, /* ready, or .ret and .err */
	/* caller -> shell */
	PACKET_START, /* .value: enum packet_start; fds: guest memory, state (handover.h) where it
		       * is not the one that the shell was made for, and drives (disks_adopt) */
	PACKET_INVOKE, /* .value: bytes of the event, which is in the window; .deadline */
	PACKET_REWIND, /* .value: not 0: verify */
	PACKET_FORK,   /* fd: fork_memfd.h */
	/* shell -> caller */
	PACKET_BORN,  /* .value: its pid; fd: its pidfd, the last descriptor that it can send */
	PACKET_READY, /* it waits for a machine */
	PACKET_LOG,   /* .value: stream; data: what the guest printed */
	PACKET_REPLY, /* to INVOKE: .ret, .value: bytes of reply; .phases, .crashed */
	PACKET_REWOUND, /* to REWIND: .ret; .phases, .rewinds */
	PACKET_FORKED,	/* to FORK: .ret */
	PACKET_FAILED,	/* READY or START came to nothing: .ret, .err; the shell ends */
	/* zygote -> caller, on a shell's socket */
	PACKET_DIED, /* .value: status as waitpid tells it */
};

enum packet_make_fd {
	PACKET_MAKE_SOCKET,
	PACKET_MAKE_STATE,
	PACKET_MAKE_MAILBOX,
	PACKET_MAKE_FDS
};

enum packet_start {
	PACKET_START_LOGS = 1u << 0,  /* somebody wants to hear what the guest prints */
	PACKET_START_STATE = 1u << 1, /* a state comes with it */
};

#define PACKET_MAX_FDS	(2u + 2 * MANIFEST_MAX_DRIVES)
#define PACKET_MAX_DATA 4096u /* ours: what one LOG carries; larger ones come in pieces */

struct packet_msg {
	uint32_t type;
	int32_t ret; /* 0 or -errno */
	uint64_t value;
	nsec_t deadline;  /* clock_monotonic() value, 0: none */
	uint32_t crashed; /* the crash record is in the mailbox's window */
	uint32_t reserved;
	struct phases phases;
	struct rewind_stats rewinds;
	struct err err; /* when .ret is negative */
};

/* A packet's parts beside its message. */
struct packet_parts {
	const void *data; /* to be sent, or where received data lies */
	size_t len;
	int fds[PACKET_MAX_FDS];
	unsigned int nfds; /* packet_recv: before it, how many may come */
};

/*
 * packet_send - whatever signals come in between.
 * @parts: may be NULL. Its descriptors stay the caller's.
 * @flags: of send(2), beside MSG_NOSIGNAL.
 * Errors: -errno of send: -EPIPE and -ECONNRESET when nobody is there any more.
 */
int packet_send(int fd, const struct packet_msg *msg, const struct packet_parts *parts,
		int flags) must_check;

/* The same until a signal comes. Errors: also -EINTR. */
int packet_offer(int fd, const struct packet_msg *msg, const struct packet_parts *parts,
		 int flags) must_check;

/*
 * packet_recv - the next packet, whatever signals come in between.
 * @parts: NULL: neither data nor descriptors may come. Else .nfds descriptors may; afterwards
 *         .data points to @buf, and .nfds of .fds are the caller's.
 * @buf: PACKET_MAX_DATA bytes.
 * Returns 1; 0 when nobody is there any more. Of what it returns .ret is 0 or a negative errno
 * and .err ends in NUL, whoever sent it.
 * Errors: -EPROTO not a packet of ours, or with what may not come; -EAGAIN and what recvmsg says.
 */
int packet_recv(int fd, struct packet_msg *msg, struct packet_parts *parts, void *buf,
		int flags) must_check;

void packet_close_fds(struct packet_parts *parts);
