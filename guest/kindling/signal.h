/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal.h - signals of one process with one thread. They come from the program itself (kill
 * and its family), from its faults, from writing to a pipe that nobody reads, and from the
 * hooks (hook.c); so they are delivered where a system call or an exception ends. One of each
 * kind can be pending; real-time signals do not queue.
 */
#pragma once

#include <linux/signal.h>
#include <stdint.h>

#include "guest/kindling/call.h"

struct signal_event {
	uint32_t number;
	int32_t code; /* si_code */
	union {
		uint64_t address; /* si_addr: of a fault */
		int32_t value;	  /* si_int: SI_QUEUE */
	};
};

/* Make a signal pending. */
void signal_post(const struct signal_event *e);

/*
 * signal_fault - the program's exception at *r: change *r so that its handler runs.
 * Returns 0, or -1 when there is no handler, it is blocked, or its frame does not fit: the
 * program's end.
 */
int signal_fault(struct regs *r, const struct signal_event *e);

/*
 * signal_deliver - what is pending and not blocked, at the end of a system call.
 * @restart: *r is set to do the call again; a handler without SA_RESTART makes it EINTR.
 */
void signal_deliver(struct regs *r, int restart);

/* rt_sigreturn: *r becomes what a handler's frame says. */
void signal_return(struct regs *r);

/* Does a handler of ABI_HOOK_SIGNAL run? */
int signal_in_hook(void);

call_fn signal_action;	/* rt_sigaction */
call_fn signal_mask;	/* rt_sigprocmask */
call_fn signal_pending; /* rt_sigpending */
call_fn signal_suspend; /* rt_sigsuspend */
call_fn signal_wait;	/* rt_sigtimedwait */
call_fn signal_pause;	/* pause */
call_fn signal_stack;	/* sigaltstack */
call_fn signal_kill;	/* kill */
call_fn signal_tkill;	/* tkill */
call_fn signal_tgkill;	/* tgkill */
call_fn signal_queue;	/* rt_sigqueueinfo */
