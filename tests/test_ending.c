/* SPDX-License-Identifier: Apache-2.0 */
/* test_ending.c - what was promised for processes that were killed is given back when they are
 * gone, in whatever order that is. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/account.h"
#include "snapshot/ending.h"
#include "tests/helpers_kvm.h"

#define EACH 100u

static struct account account;
static struct endings endings;

static void begin(void)
{
	cr_assert(eq(int, account_init(&account, 10 * EACH, NULL), 0));
	endings_init(&endings, &account);
}

/* A process that holds EACH bytes and is about to end, when it is killed. */
static pid_t add_one(void)
{
	struct ending *e = malloc(sizeof(*e));
	pid_t pid = fork();

	if (pid == 0) {
		pause();
		_exit(0);
	}
	cr_assert(eq(int, account_take(&account, EACH, "a process", NULL), 0));
	*e = (struct ending){ .pidfd = pidfd_open(pid, 0), .bytes = EACH };
	endings_add(&endings, e);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

Test(ending, those_that_are_gone_are_given_back_whichever_they_are, .timeout = 30)
{
	int before = count_entries("/proc/self/fd");
	pid_t pids[4];

	begin();
	for (int i = 0; i < 4; i++)
		pids[i] = add_one();
	cr_expect(not(endings_collect(&endings, 0)));
	end(pids[1]);
	end(pids[3]);
	cr_expect(endings_collect(&endings, 0));
	cr_expect(eq(u64, account.used, 2 * EACH));
	cr_expect(eq(uint, endings_count(&endings), 2));
	end(pids[0]);
	end(pids[2]);
	cr_expect(endings_collect(&endings, 0));
	cr_expect(eq(u64, account.used, 0));
	cr_expect(not(endings_collect(&endings, clock_deadline(10000))), "nobody to wait for");
	cr_expect(eq(int, count_entries("/proc/self/fd"), before));
	endings_fini(&endings);
}

static void *end_soon(void *arg)
{
	usleep(50000);
	end(*(pid_t *)arg);
	return NULL;
}

/* More of them than are looked at by one call; the one that is waited for is any of those left. */
Test(ending, room_is_waited_for_until_there_is_enough, .timeout = 60)
{
	static const int one_more[] = { 1, 44, 89 };
	pid_t pids[90];
	pthread_t thread;
	struct err err = { 0 };

	begin();
	account.limit = 90 * EACH;
	for (int i = 0; i < 90; i++)
		pids[i] = add_one();
	for (int i = 0; i < 90; i += 3)
		end(pids[i]);
	cr_expect(eq(int, endings_promise(&endings, 30 * EACH, "all of them", &err), 0), "%s",
		  err.text);
	for (size_t i = 0; i < ARRAY_SIZE(one_more); i++) {
		cr_assert(eq(int, pthread_create(&thread, NULL, end_soon, &pids[one_more[i]]),
			     0));
		cr_expect(eq(int, endings_promise(&endings, EACH, "one more", &err), 0), "%s",
			  err.text);
		pthread_join(thread, NULL);
	}
	for (int i = 0; i < 90; i++) {
		if (i % 3 != 0 && i != 1 && i != 44 && i != 89)
			end(pids[i]);
	}
	cr_expect(eq(int, endings_promise(&endings, 58 * EACH, "too much", &err), -ENOMEM));
	cr_expect(ne(ptr, strstr(err.text, "too much needs"), NULL), "%s", err.text);
	cr_expect(eq(u64, account.used, 33 * EACH));
	cr_expect(eq(uint, endings_count(&endings), 0));
	endings_fini(&endings);
}

/* ---- several threads ---- */

static void *add_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20000; i++) {
		struct ending *e = malloc(sizeof(*e));

		while (endings_promise(&endings, EACH, "a shell", NULL) < 0)
			; /* others have it */
		*e = (struct ending){ .pidfd = -1, .bytes = EACH };
		endings_add(&endings, e);
	}
	return NULL;
}

Test(ending, threads_add_and_collect_at_once, .timeout = 60)
{
	pthread_t threads[4];

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		cr_assert(eq(int, pthread_create(&threads[i], NULL, add_many, NULL), 0));
	for (size_t i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	endings_collect(&endings, 0);
	cr_expect(eq(u64, account.used, 0));
	cr_expect(eq(uint, endings_count(&endings), 0));
	endings_fini(&endings);
}
