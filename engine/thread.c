/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/sysinfo.h>

/* The CPUs that this process may use. A host with more than fit in the set shows none. */
static cpu_set_t cpus_allowed(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		CPU_ZERO(&set);
	return set;
}

/*
 * A CPU that sleeps in a virtual machine looks preempted to Linux, and so less inviting than the
 * caller's own: left to itself, it makes the new thread wait there for milliseconds.
 */
static int create_elsewhere(pthread_t *thread, void *(*body)(void *), void *arg)
{
	cpu_set_t all = cpus_allowed(), others = all;
	pthread_attr_t attr;
	int ret;

	CPU_CLR((size_t)sched_getcpu(), &others);
	if (CPU_COUNT(&others) == 0)
		return pthread_create(thread, NULL, body, arg);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(others), &others);
	ret = pthread_create(thread, &attr, body, arg);
	pthread_attr_destroy(&attr);
	if (ret == 0)
		pthread_setaffinity_np(*thread, sizeof(all), &all); /* it is there now */
	return ret;
}

int thread_start(pthread_t *thread, void *(*body)(void *), void *arg)
{
	sigset_t all, before;
	int ret;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* inherited */
	ret = create_elsewhere(thread, body, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -ret;
}

unsigned int thread_cpus(void)
{
	cpu_set_t set = cpus_allowed();
	int n = CPU_COUNT(&set);

	return (unsigned int)(n > 0 ? n : get_nprocs());
}
