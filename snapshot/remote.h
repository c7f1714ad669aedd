/* SPDX-License-Identifier: Apache-2.0 */
/*
 * remote.h - a shell, and then a machine in another process, as its caller sees it: asked for,
 * handed a machine, invoked, rewound, closed. Nothing here waits but where it says so, and no
 * shell can make its caller wait longer than what it was given.
 *
 * It belongs to one thread at a time. One whose shell died, or was killed because it did
 * not answer, says so to everything that it is asked; it can only be closed.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "snapshot/packet.h"

struct disks;
struct zygote;

enum remote_state {
	REMOTE_EMPTY,	  /* no shell */
	REMOTE_MAKING,	  /* asked for */
	REMOTE_WAITING,	  /* a shell, no machine in it */
	REMOTE_IDLE,	  /* a machine that waits for an event */
	REMOTE_BUSY,	  /* has one */
	REMOTE_REWINDING, /* asked for, the answer was not looked at */
	REMOTE_DEAD,
};

struct remote {
	int socket;
	int pidfd;   /* of the shell */
	int fork_fd; /* fork_memfd.h; -1: it was not forked yet */
	pid_t pid;
	enum remote_state state;
	uint8_t *window; /* the mailbox's memory, shared with the shell */
	nsec_t deadline; /* of the event under way; 0: none */
	nsec_t patience; /* with the rewind under way */
	struct phases phases;
	struct rewind_stats rewinds;
	bool is_rewound;   /* and had no event since */
	bool is_impatient; /* remote_wait and remote_settle say -EAGAIN in place of waiting */
	bool crashed;	   /* the crash record in the window is of the last event */
	void (*log)(void *arg, uint32_t stream, const void *text, size_t len);
	void *log_arg;
	int ret; /* when dead: why, and .err */
	struct err err;
};

static inline struct remote remote_empty(void)
{
	return (struct remote){ .socket = -1, .pidfd = -1, .fork_fd = -1 };
}

/* What becomes a machine. Descriptors stay the caller's. */
struct remote_machine {
	int memory_fd;
	int state_fd; /* -1: the state that the shell was made for */
	const struct disks *disks;
};

/*
 * remote_make - ask for a shell. @s: empty. @state_fd: handover.h.
 * Errors: -EPIPE the zygote is gone; -EMFILE, -ENOMEM. @s is empty then.
 */
int remote_make(struct remote *s, const struct zygote *z, int state_fd,
		struct err *err) must_check;

/* Wait until it is ready. Errors: what it could not do; -ERR_TIMED_OUT; @s is dead then. */
int remote_await(struct remote *s, struct err *err) must_check;

/*
 * remote_start - hand the shell its machine. .log, .log_arg and the first stamps are set before.
 * Errors: -EPIPE nobody is there. What it could not do, the next answer says.
 */
int remote_start(struct remote *s, const struct remote_machine *m, struct err *err) must_check;

/*
 * remote_send - an event. Waits for a rewind that was asked for before.
 * Errors: -EMSGSIZE; -EBUSY there is one under way.
 */
int remote_send(struct remote *s, const void *event, size_t len, nsec_t deadline,
		struct err *err) must_check;

/*
 * remote_wait - for the reply to the event that was sent. @len: bytes in the window's reply area.
 * Errors: as machine_invoke; -EINVAL none was sent. -ERR_CRASHED the process died.
 */
int remote_wait(struct remote *s, size_t *len, struct err *err) must_check;

/* Ask for a rewind. Errors: -EBUSY an event is under way. */
int remote_rewind(struct remote *s, bool verify, struct err *err) must_check;
/* Wait for it, if there is one to wait for. Errors: as rewind_machine and rewind_verify. */
int remote_settle(struct remote *s, struct err *err) must_check;

/*
 * remote_fork - have the machine taken down, which waits for an event and goes on waiting.
 * .fork_fd is set before; what is there afterwards, fork_receive reads. @pause: how long the
 * machine stood still.
 * Errors: -EBUSY an event is under way, or the last one was not answered; as fork_send.
 */
int remote_fork(struct remote *s, nsec_t *pause, struct err *err) must_check;

/* End a shell that handed over nonsense, and say @err to everything that it is asked. */
void remote_distrust(struct remote *s, int ret, const struct err *err);

/*
 * remote_end - kill the shell, whatever it is at: one that was taken over does not end when it is
 * told to. @s is empty then, the shell's memory in use until it is gone.
 * Returns its pidfd, which is readable then; -1: there is none.
 */
int remote_end(struct remote *s);

/* End it, and do not ask what became of it. */
void remote_close(struct remote *s);
