/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/signal.h"

#include <linux/errno.h>
#include <linux/signal.h>

#include "guest/kindling/crash.h"
#include "guest/kindling/log.h"
#include "guest/kindling/process.h"
#include "guest/kindling/user.h"

#define NSIGNALS 64u

/* struct sigaction as the system call has it: without the C library's order. */
struct action {
	uint64_t handler; /* an address, or one of the two below */
	uint64_t flags;
	uint64_t restorer;
	uint64_t mask;
};

enum { ACTION_DEFAULT = 0, ACTION_IGNORE = 1 };

static struct action actions[NSIGNALS + 1];
static uint64_t blocked, pending; /* bit n - 1: signal n */
static stack_t alt_stack = { .ss_flags = SS_DISABLE };

static uint64_t bit(uint64_t signal)
{
	return 1ull << (signal - 1);
}

#define UNBLOCKABLE (bit(SIGKILL) | bit(SIGSTOP))

/* Those that do nothing, and those that would stop a process nobody could continue. */
#define HARMLESS                                                                               \
	(bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGSTOP) |            \
	 bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU))

int64_t signal_action(const struct regs *r)
{
	static int said;
	struct action new, *a;
	uint64_t n = (uint32_t)r->rdi;

	if (n == 0 || n > NSIGNALS || r->r10 != sizeof(new.mask))
		return -EINVAL;
	a = &actions[n];
	if (r->rsi && user_get(&new, r->rsi, sizeof(new)))
		return -EFAULT;
	if (r->rsi && bit(n) & UNBLOCKABLE)
		return -EINVAL;
	if (r->rdx && user_put(r->rdx, a, sizeof(*a)))
		return -EFAULT;
	if (!r->rsi)
		return 0;
	*a = new;
	if (new.handler > ACTION_IGNORE && !said) {
		log_line("handler for signal %lu installed: it will not be called, signals end "
			 "the program here",
			 n);
		said = 1;
	}
	return 0;
}

/* What happens to a signal that is not blocked. */
static void signal_deliver(const struct regs *r, uint64_t signal)
{
	if (actions[signal].handler == ACTION_IGNORE && !(bit(signal) & UNBLOCKABLE))
		return;
	if (actions[signal].handler == ACTION_DEFAULT && bit(signal) & HARMLESS)
		return;
	crash_signal(r, (uint32_t)signal);
}

static int64_t signal_send(const struct regs *r, uint64_t signal)
{
	if (signal > NSIGNALS)
		return -EINVAL;
	if (signal == 0)
		return 0;
	if (bit(signal) & blocked)
		pending |= bit(signal);
	else
		signal_deliver(r, signal);
	return 0;
}

int64_t signal_mask(const struct regs *r)
{
	uint64_t set, old = blocked;

	if (r->r10 != sizeof(set))
		return -EINVAL;
	if (r->rsi) {
		if (user_get(&set, r->rsi, sizeof(set)))
			return -EFAULT;
		if (r->rdi == SIG_BLOCK)
			blocked |= set;
		else if (r->rdi == SIG_UNBLOCK)
			blocked &= ~set;
		else if (r->rdi == SIG_SETMASK)
			blocked = set;
		else
			return -EINVAL;
		blocked &= ~UNBLOCKABLE;
	}
	if (r->rdx && user_put(r->rdx, &old, sizeof(old)))
		return -EFAULT;
	for (uint64_t n = 1; n <= NSIGNALS; n++)
		if (bit(n) & pending & ~blocked) {
			pending &= ~bit(n);
			signal_deliver(r, n);
		}
	return 0;
}

int64_t signal_stack(const struct regs *r)
{
	stack_t new;

	if (r->rdi && user_get(&new, r->rdi, sizeof(new)))
		return -EFAULT;
	if (r->rsi && user_put(r->rsi, &alt_stack, sizeof(alt_stack)))
		return -EFAULT;
	if (r->rdi)
		alt_stack = new;
	return 0;
}

/* Ourselves, our group, or everybody, which is the same here. */
int64_t signal_kill(const struct regs *r)
{
	int32_t pid = (int32_t)r->rdi;

	if (pid != PROCESS_ID && pid != -PROCESS_ID && pid != 0)
		return -ESRCH;
	return signal_send(r, (uint32_t)r->rsi);
}

int64_t signal_tkill(const struct regs *r)
{
	return (uint32_t)r->rdi == PROCESS_ID ? signal_send(r, (uint32_t)r->rsi) : -ESRCH;
}

int64_t signal_tgkill(const struct regs *r)
{
	if ((uint32_t)r->rdi != PROCESS_ID || (uint32_t)r->rsi != PROCESS_ID)
		return -ESRCH;
	return signal_send(r, (uint32_t)r->rdx);
}
