/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <signal.h>

#include "engine/thread.h"

#define ROUNDS 40

/* What a thread finds. */
struct place {
	int cpu;
	sigset_t blocked;
};

static cpu_set_t allowed;

static void *look(void *arg)
{
	struct place *p = arg;

	p->cpu = sched_getcpu();
	pthread_sigmask(SIG_SETMASK, NULL, &p->blocked);
	return NULL;
}

/* It is let go when it has begun: at some time, it may use more than one. */
static void *look_later(void *arg)
{
	cpu_set_t is;

	(void)arg;
	while (sched_getaffinity(0, sizeof(is), &is) == 0 && !CPU_EQUAL(&is, &allowed))
		sched_yield();
	return NULL;
}

static struct place thread_place(void *(*body)(void *))
{
	struct place p = { 0 };
	pthread_t thread;

	cr_assert(eq(int, thread_start(&thread, body, &p), 0));
	pthread_join(thread, NULL);
	return p;
}

Test(thread, has_all_signals_blocked_and_its_starter_keeps_its_own, .timeout = 10)
{
	struct place p = thread_place(look);
	sigset_t mine;

	pthread_sigmask(SIG_SETMASK, NULL, &mine);
	cr_expect(eq(int, sigismember(&p.blocked, SIGTERM), 1));
	cr_expect(eq(int, sigismember(&mine, SIGTERM), 0));
}

Test(thread, begins_on_another_cpu, .timeout = 10)
{
	int elsewhere = 0;

	if (thread_cpus() == 1)
		cr_skip_test("this process may use one CPU");
	for (int i = 0; i < ROUNDS; i++) {
		int before = sched_getcpu();
		struct place p = thread_place(look);

		elsewhere += p.cpu != before;
	}
	/* The scheduler may move either of them in between, but hardly ever does. */
	cr_expect(ge(int, elsewhere, ROUNDS * 3 / 4));
}

Test(thread, may_then_use_every_cpu_of_its_process, .timeout = 10)
{
	cr_assert(eq(int, sched_getaffinity(0, sizeof(allowed), &allowed), 0));
	thread_place(look_later); /* or the time is up */
}

Test(thread, starts_where_there_is_one_cpu, .timeout = 10)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	cr_assert(eq(int, sched_setaffinity(0, sizeof(one), &one), 0));
	cr_expect(eq(uint, thread_cpus(), 1));
	cr_expect(eq(int, thread_place(look).cpu, sched_getcpu()));
}
