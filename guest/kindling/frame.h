/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - what a signal's handler finds on its stack, in Linux's layout: return address,
 * struct ucontext, siginfo_t, and above them the vector state.
 */
#pragma once

#include <linux/signal.h>
#include <stdint.h>

struct regs;

/* struct sigaction as the system call has it: without the C library's order. */
struct frame_action {
	uint64_t handler; /* an address, or SIG_DFL, SIG_IGN */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

struct frame {
	struct frame_action action;
	siginfo_t info;
	stack_t stack; /* the alternate one */
	uint64_t mask; /* of blocked signals, for the handler's return */
};

/* Is @sp on the alternate stack @s? */
int frame_on_stack(const stack_t *s, uint64_t sp);

/* Bytes of a frame at most: AT_MINSIGSTKSZ. */
uint64_t frame_size(void);

/* Put @f on the program's stack and make *r enter the handler. Returns 0 or -EFAULT: there is
 * no room, or no restorer; *r is unchanged then. */
int frame_push(struct regs *r, const struct frame *f) __attribute__((warn_unused_result));

/* The way back, when *r is as the handler's return leaves it: @mask and @stack as they were.
 * Returns 0 or -EFAULT: there is no frame that can be used. */
int frame_pop(struct regs *r, uint64_t *mask, stack_t *stack)
	__attribute__((warn_unused_result));
