/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/thread.h"

#include <sched.h>
#include <signal.h>

int thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited */
	ret = pthread_create(thread, NULL, body, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

bool thread_has_company(void)
{
	cpu_set_t set;

	/* A host with more CPUs than fit in the set has company. */
	return sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) > 1;
}
