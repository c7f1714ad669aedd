/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/signal.h"

#include <linux/errno.h>

#include "guest/abi.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/crash.h"
#include "guest/kindling/frame.h"
#include "guest/kindling/hook.h"
#include "guest/kindling/log.h"
#include "guest/kindling/process.h"
#include "guest/kindling/user.h"
#include "guest/kindling/wait.h"

#define NSIGNALS 64u

enum { ACTION_DEFAULT = 0, ACTION_IGNORE = 1 };

static struct frame_action actions[NSIGNALS + 1];
static siginfo_t infos[NSIGNALS + 1]; /* of pending signals */
static uint64_t blocked, pending;     /* bit n - 1: signal n */
static stack_t alt_stack = { .ss_flags = SS_DISABLE };

/* rt_sigsuspend: what is blocked again after the signal it waits for. */
static uint64_t suspend_mask;
static int suspended;

static uint64_t hook_frame; /* stack pointer of the hook's handler, while it runs */

static uint64_t bit(uint64_t signal)
{
	return 1ull << (signal - 1);
}

#define UNBLOCKABLE (bit(SIGKILL) | bit(SIGSTOP))

/* Those that do nothing, and those that would stop a process nobody could continue. */
#define HARMLESS                                                                               \
	(bit(SIGCHLD) | bit(SIGCONT) | bit(SIGURG) | bit(SIGWINCH) | bit(SIGSTOP) |            \
	 bit(SIGTSTP) | bit(SIGTTIN) | bit(SIGTTOU))

static int has_handler(uint64_t signal)
{
	return actions[signal].handler > ACTION_IGNORE;
}

static int does_nothing(uint64_t signal)
{
	if (bit(signal) & UNBLOCKABLE)
		return signal == SIGSTOP;
	return actions[signal].handler == ACTION_IGNORE ||
	       (actions[signal].handler == ACTION_DEFAULT && bit(signal) & HARMLESS);
}

/* ---- sending ---- */

static siginfo_t info_of(const struct signal_event *e)
{
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	info.si_signo = (int32_t)e->number;
	info.si_code = e->code;
	if (e->code > 0) {
		info.si_addr = (void *)e->address;
	} else {
		info.si_pid = PROCESS_ID;
		info.si_int = e->value;
	}
	return info;
}

static void post(uint64_t signal, const siginfo_t *info)
{
	if (!(bit(signal) & blocked) && does_nothing(signal))
		return;
	if (!(pending & bit(signal)))
		infos[signal] = *info;
	pending |= bit(signal);
}

void signal_post(const struct signal_event *e)
{
	siginfo_t info = info_of(e);

	post(e->number, &info);
}

static int64_t send(uint64_t signal, int32_t code)
{
	struct signal_event e = { .number = (uint32_t)signal, .code = code };

	if (signal > NSIGNALS)
		return -EINVAL;
	if (signal)
		signal_post(&e);
	return 0;
}

/* Ourselves, our group, or everybody but process 1, which is nobody. */
int64_t signal_kill(const struct regs *r)
{
	int32_t pid = (int32_t)r->rdi;

	if (pid != PROCESS_ID && pid != -PROCESS_ID && pid != 0)
		return -ESRCH;
	return send((uint32_t)r->rsi, SI_USER);
}

int64_t signal_tkill(const struct regs *r)
{
	return (uint32_t)r->rdi == PROCESS_ID ? send((uint32_t)r->rsi, SI_TKILL) : -ESRCH;
}

int64_t signal_tgkill(const struct regs *r)
{
	if ((uint32_t)r->rdi != PROCESS_ID || (uint32_t)r->rsi != PROCESS_ID)
		return -ESRCH;
	return send((uint32_t)r->rdx, SI_TKILL);
}

int64_t signal_queue(const struct regs *r)
{
	uint64_t signal = (uint32_t)r->rsi;
	siginfo_t info;

	if (user_get(&info, r->rdx, sizeof(info)))
		return -EFAULT;
	if ((uint32_t)r->rdi != PROCESS_ID)
		return -ESRCH;
	if (signal > NSIGNALS)
		return -EINVAL;
	info.si_signo = (int32_t)signal;
	if (signal)
		post(signal, &info);
	return 0;
}

/* ---- delivering ---- */

/* Make *r run the handler. Returns 0, or -1 when its frame has no place. */
static int handle(struct regs *r, uint64_t signal, const siginfo_t *info)
{
	struct frame_action *a = &actions[signal];
	struct frame f = { .action = *a,
			   .info = *info,
			   .stack = alt_stack,
			   .mask = suspended ? suspend_mask : blocked };

	if (frame_push(r, &f))
		return -1;
	suspended = 0;
	if (signal == ABI_HOOK_SIGNAL)
		hook_frame = r->rsp;
	if (a->flags & SA_RESETHAND) {
		a->handler = ACTION_DEFAULT;
		if (signal == ABI_HOOK_SIGNAL)
			hook_watch(0);
	}
	blocked |= f.action.mask | (f.action.flags & SA_NODEFER ? 0 : bit(signal));
	blocked &= ~UNBLOCKABLE;
	return 0;
}

int signal_fault(struct regs *r, const struct signal_event *e)
{
	siginfo_t info = info_of(e);

	if (!has_handler(e->number) || bit(e->number) & blocked)
		return -1;
	return handle(r, e->number, &info);
}

void signal_deliver(struct regs *r, int restart)
{
	while (pending & ~blocked) {
		uint64_t signal = (uint64_t)__builtin_ctzll(pending & ~blocked) + 1;

		pending &= ~bit(signal);
		if (does_nothing(signal))
			continue;
		if (!has_handler(signal))
			crash_signal(r, (uint32_t)signal);
		if (restart && !(actions[signal].flags & SA_RESTART)) {
			r->rip += CALL_SIZE;
			r->rax = (uint64_t)-EINTR;
		}
		restart = 0;
		if (handle(r, signal, &infos[signal])) {
			log_line("no room on the stack for the handler of signal %lu", signal);
			crash_signal(r, SIGSEGV);
		}
	}
	if (suspended)
		blocked = suspend_mask;
	suspended = 0;
}

void signal_return(struct regs *r)
{
	uint64_t sp = r->rsp - 8;

	if (frame_pop(r, &blocked, &alt_stack)) {
		log_line("rt_sigreturn: no signal frame at 0x%lx", sp);
		crash_signal(r, SIGSEGV);
	}
	blocked &= ~UNBLOCKABLE;
	if (sp == hook_frame)
		hook_frame = 0;
}

int signal_in_hook(void)
{
	return hook_frame != 0;
}

/* ---- the program's wishes ---- */

int64_t signal_action(const struct regs *r)
{
	struct frame_action new, *a;
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
	if (does_nothing(n))
		pending &= ~bit(n);
	if (n == ABI_HOOK_SIGNAL)
		hook_watch(has_handler(n));
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
	return r->rdx ? user_put(r->rdx, &old, sizeof(old)) : 0;
}

int64_t signal_pending(const struct regs *r)
{
	uint64_t set = pending & blocked;

	return r->rsi > sizeof(set) ? -EINVAL : user_put(r->rdi, &set, r->rsi);
}

int64_t signal_suspend(const struct regs *r)
{
	uint64_t set;

	if (r->rsi != sizeof(set))
		return -EINVAL;
	if (user_get(&set, r->rdi, sizeof(set)))
		return -EFAULT;
	suspend_mask = blocked;
	blocked = set & ~UNBLOCKABLE;
	if (!(pending & ~blocked))
		wait_forever(r, "sigsuspend");
	suspended = 1;
	return -EINTR;
}

int64_t signal_pause(const struct regs *r)
{
	wait_forever(r, "pause");
}

/* rt_sigtimedwait(set, info, timeout, size) */
int64_t signal_wait(const struct regs *r)
{
	uint64_t set, signal;
	int64_t ret;

	if (r->r10 != sizeof(set))
		return -EINVAL;
	if (user_get(&set, r->rdi, sizeof(set)))
		return -EFAULT;
	set &= pending;
	if (!set) {
		ret = wait_timeout(r, r->rdx, "sigwait");
		return ret < 0 ? ret : -EAGAIN;
	}
	signal = (uint64_t)__builtin_ctzll(set) + 1;
	if (r->rsi && user_put(r->rsi, &infos[signal], sizeof(infos[signal])))
		return -EFAULT;
	pending &= ~bit(signal);
	return (int64_t)signal;
}

int64_t signal_stack(const struct regs *r)
{
	int on = frame_on_stack(&alt_stack, r->rsp);
	stack_t new, old = alt_stack;

	if (r->rdi && user_get(&new, r->rdi, sizeof(new)))
		return -EFAULT;
	old.ss_flags |= on ? SS_ONSTACK : 0;
	if (r->rsi && user_put(r->rsi, &old, sizeof(old)))
		return -EFAULT;
	if (!r->rdi)
		return 0;
	if (on)
		return -EPERM;
	if (new.ss_flags == SS_DISABLE)
		new = (stack_t){ .ss_flags = SS_DISABLE };
	else if (new.ss_flags != 0 && new.ss_flags != SS_ONSTACK)
		return -EINVAL;
	else if (new.ss_size < MINSIGSTKSZ)
		return -ENOMEM;
	new.ss_flags &= SS_DISABLE;
	alt_stack = new;
	return 0;
}
