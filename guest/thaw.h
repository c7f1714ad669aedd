/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thaw.h - hooks: functions of a program that are called right before its machine is frozen
 * into an image, and right after each thaw of it. For what must not be the same in all copies,
 * or does not survive the time in between: the state of random generators, cached times,
 * identifiers, leases. This header is all there is; it needs a C library with sigaction(2),
 * and does nothing on a system that does not freeze.
 *
 *	static void renew(void *arg)
 *	{
 *		unsigned int seed;
 *
 *		if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
 *			srandom(seed);
 *	}
 *	...
 *	thaw_after_thaw(renew, NULL);	// before the first read(3)
 *
 * When: all hooks run inside read(2) of the event stream, descriptor 3, on the program's stack.
 * The ones before the freeze run in the first read that waits for an event, the last one
 * registered first. The ones after a thaw run when the first event after it has arrived, the
 * first one registered first, before the read returns that event; so they are part of the time
 * to the first response. A machine that runs on without a freeze, or gets more events, calls
 * none.
 *
 * How: by a signal, THAW_SIGNAL, whose handler is installed with the first hook. The signal
 * comes only inside read(3), never in the middle of other code: a hook may call whatever the
 * program itself could call there in place of the read. Exceptions:
 *
 *  - read(3) gives EDEADLK in a hook, as does a read of a duplicate of descriptor 3;
 *  - a hook has to return; after longjmp(3) out of one every read(3) gives EDEADLK;
 *  - a library that holds a lock across the read (stdio, when 3 was given to fdopen(3)) holds
 *    it in the hooks too;
 *  - what a hook after a thaw writes to descriptor 4 becomes the start of the reply;
 *  - a hook must not register hooks;
 *  - a program that blocks THAW_SIGNAL gets its hooks when it unblocks it, or never; one that
 *    gives it another handler gets no hooks.
 *
 * Hooks may be registered from several files of a program, by one thread. There is no way to
 * take one back.
 */
#pragma once

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define THAW_SIGNAL	   16 /* SIGSTKFLT of Linux: no kernel sends it, no library uses it */
#define THAW_BEFORE_FREEZE 1  /* si_int */
#define THAW_AFTER_THAW	   2
#define THAW_HOOKS_MAX	   32 /* of each kind */

struct thaw_hooks {
	int installed;
	unsigned int count[2]; /* before, after */
	struct {
		void (*call)(void *arg);
		void *arg;
	} hook[2][THAW_HOOKS_MAX];
};

/* Weak: the linker keeps one of all files' copies. */
__attribute__((weak)) struct thaw_hooks thaw_hooks;

static inline void thaw_handle(int sig, siginfo_t *info, void *context)
{
	struct thaw_hooks *h = &thaw_hooks;
	int saved = errno;
	unsigned int i;

	(void)sig;
	(void)context;
	if (info->si_code == SI_QUEUE && info->si_value.sival_int == THAW_BEFORE_FREEZE)
		for (i = h->count[0]; i-- > 0;)
			h->hook[0][i].call(h->hook[0][i].arg);
	if (info->si_code == SI_QUEUE && info->si_value.sival_int == THAW_AFTER_THAW)
		for (i = 0; i < h->count[1]; i++)
			h->hook[1][i].call(h->hook[1][i].arg);
	errno = saved;
}

/* Returns 0, -EBUSY when the program has another handler, or the -errno of sigaction(2). */
static inline int thaw_install(void)
{
	struct sigaction sa, old;

	if (thaw_hooks.installed)
		return 0;
	if (sigaction(THAW_SIGNAL, NULL, &old) < 0)
		return -errno;
	if (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN)
		return -EBUSY;
	sa.sa_sigaction = thaw_handle;
	sigemptyset(&sa.sa_mask);
	sa.sa_flags = SA_SIGINFO | SA_RESTART;
	if (sigaction(THAW_SIGNAL, &sa, NULL) < 0)
		return -errno;
	thaw_hooks.installed = 1;
	return 0;
}

static inline int thaw_add(int after, void (*call)(void *arg), void *arg)
{
	struct thaw_hooks *h = &thaw_hooks;
	int ret = thaw_install();

	if (ret < 0)
		return ret;
	if (h->count[after] == THAW_HOOKS_MAX)
		return -ENOSPC;
	h->hook[after][h->count[after]].call = call;
	h->hook[after][h->count[after]].arg = arg;
	h->count[after]++;
	return 0;
}

/*
 * Have @call(@arg) called before the machine is frozen, or after each thaw. Before the first
 * read of the event stream, else the freeze may be over.
 * Return 0; -ENOSPC: THAW_HOOKS_MAX are registered; else what thaw_install returns.
 */
static inline int thaw_before_freeze(void (*call)(void *arg), void *arg)
{
	return thaw_add(0, call, arg);
}

static inline int thaw_after_thaw(void (*call)(void *arg), void *arg)
{
	return thaw_add(1, call, arg);
}

#ifdef __cplusplus
}
#endif
