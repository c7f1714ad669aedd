/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_budget.c - what shells and their machines are promised, what they cost, what they leave, and
 * what a shell has given up. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/abi.h"
#include "snapshot/pool.h"
#include "tests/helpers_nest.h"

/* Descriptors of @pid, which is not this process. */
static int count_fds(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return count_entries(path) - 2; /* "." and ".." */
}

static void *continue_soon(void *arg)
{
	const struct thaw_zygote *zygote = arg;

	usleep(100000);
	kill(thaw_zygote_pid(zygote), SIGCONT);
	return NULL;
}

/* Be as a user who is nobody special, as far as limits are concerned. */
static void be_limited(unsigned int fds)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];
	struct rlimit limit;

	cr_assert(eq(int, (int)syscall(SYS_capget, &head, caps), 0));
	caps[0].effective &= ~(1u << CAP_SYS_ADMIN | 1u << CAP_SYS_RESOURCE);
	cr_assert(eq(int, (int)syscall(SYS_capset, &head, caps), 0));
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = fds;
	cr_assert(eq(int, setrlimit(RLIMIT_NOFILE, &limit), 0));
}

/* Three descriptors go to the zygote for each shell, and count until it has received them. */
Test(budget, a_user_with_few_descriptors_gets_all_the_slots_that_they_are_enough_for,
     .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };

	nest_begin(&n, "echo");
	be_limited(280);
	kill(thaw_zygote_pid(n.zygote), SIGSTOP); /* it has others to serve */
	cr_assert(eq(int, pthread_create(&(pthread_t){ 0 }, NULL, continue_soon, n.zygote), 0));
	cr_assert(eq(int, thaw_pool_open(&n.pool, n.zygote, n.template, 110, 1, &err), 0), "%s",
		  err.text);
	nest_free(&n);
}

Test(budget, a_fill_does_not_wait_for_shells_that_end_unless_their_memory_is_needed,
     .timeout = 60)
{
	static struct nest n;
	struct thaw_zygote *small;
	struct thaw_pool *pool;
	struct thaw_slot *slot;
	struct thaw_err err = { 0 };
	uint64_t templates;
	pid_t pid;

	nest_begin(&n, "echo");
	cr_assert(eq(int, thaw_zygote_open(&small, 16 << 20, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_pool_open(&pool, small, n.template, 1, 4 << 20, &err), 0), "%s",
		  err.text);
	templates = small->account.used - (1 << 20);
	for (int i = 0; i < 20; i++) {
		cr_assert(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &err), 0),
			  "%s", err.text);
		nest_ask(slot, "one after the other");
		pid = thaw_slot_pid(slot);
		thaw_slot_close(slot);
		cr_expect(ge(u64, small->account.used, templates + (5 << 20)));
		cr_assert(eq(int, thaw_pool_fill(pool, &err), 1), "%s", err.text);
		cr_expect(ge(u64, small->account.used,
			     templates + (1 << 20) + (nest_is_gone(pid) ? 0 : 5 << 20)));
		cr_expect(le(u64, small->account.used, 16 << 20));
	}
	thaw_pool_close(pool);
	cr_expect(eq(u64, small->account.used, 0));
	thaw_zygote_close(small);
	nest_free(&n);
}

Test(budget, what_does_not_fit_is_refused_before_it_is_made, .timeout = 60)
{
	static struct nest n;
	struct thaw_zygote *small;
	struct thaw_pool *pool;
	struct thaw_slot *slot, *second;
	struct thaw_err err = { 0 };
	pid_t pid;

	nest_begin(&n, "echo");
	cr_assert(eq(int, thaw_zygote_open(&small, 16 << 20, NULL, &err), 0), "%s", err.text);
	cr_expect(eq(int, thaw_pool_open(&pool, small, n.template, 100, 0, &err), -ENOMEM));
	cr_expect(ne(ptr, strstr(err.text, "100 shells needs"), NULL), "%s", err.text);
	cr_expect(ne(ptr, strstr(err.text, "of 16 MiB are left"), NULL), "%s", err.text);
	cr_expect(eq(int, nest_children(thaw_zygote_pid(small), NULL, 0), 0));

	/* Two shells fit, and one machine. */
	cr_assert(eq(int, thaw_pool_open(&pool, small, n.template, 2, 8 << 20, &err), 0), "%s",
		  err.text);
	cr_assert(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &err), 0));
	cr_expect(eq(int, thaw_slot_start(&second, pool, NULL, NULL, NULL, &err), -ENOMEM));
	cr_expect(ne(ptr, strstr(err.text, "a machine needs 8 MiB"), NULL), "%s", err.text);
	nest_ask(slot, "there is one");
	pid = thaw_slot_pid(slot);
	thaw_slot_close(slot);
	/* Its memory is its own until it is gone. */
	cr_expect(gt(u64, small->account.used, 8 << 20));
	cr_assert(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &err), 0), "%s",
		  err.text);
	cr_expect(nest_is_gone(pid));
	nest_ask(slot, "and then another");
	thaw_slot_close(slot);
	cr_expect(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &err), -EAGAIN));
	cr_expect(ne(ptr, strstr(err.text, "no shell waits"), NULL), "%s", err.text);
	thaw_pool_close(pool);
	cr_expect(eq(u64, small->account.used, 0));
	thaw_zygote_close(small);
	nest_free(&n);
}

/* Who says nothing of how much a machine writes has room for a guest that writes to everything. */
Test(budget, all_that_a_machine_can_write_to_is_accounted_for, .timeout = 60)
{
	static struct nest n;
	const uint64_t each = (64u << 20) + ABI_WINDOW_SIZE, shells = 2u << 20;
	uint64_t templates;
	struct thaw_zygote *budget;
	struct thaw_pool *pool;
	struct thaw_slot *slot, *second;
	struct thaw_err err = { 0 };

	nest_begin(&n, "echo");
	cr_assert(eq(int, thaw_zygote_open(&budget, 100 << 20, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_pool_open(&pool, budget, n.template, 2, 0, &err), 0), "%s",
		  err.text);
	templates = budget->account.used - shells;
	cr_assert(eq(int, thaw_slot_start(&slot, pool, NULL, NULL, NULL, &err), 0), "%s",
		  err.text);
	cr_expect(eq(u64, budget->account.used, templates + shells + each));
	cr_expect(eq(int, thaw_slot_start(&second, pool, NULL, NULL, NULL, &err), -ENOMEM));
	cr_expect(ne(ptr, strstr(err.text, "a machine needs 78 MiB of memory, "), NULL), "%s",
		  err.text);
	cr_expect(ne(ptr, strstr(err.text, " of 100 MiB are left"), NULL), "%s", err.text);
	nest_ask(slot, "there is one");
	thaw_slot_close(slot);
	thaw_pool_close(pool);
	cr_expect(eq(u64, budget->account.used, 0));
	thaw_zygote_close(budget);
	nest_free(&n);
}

/* Everything that is in /proc/PID/status after @key, as a number. */
static long status_of(pid_t pid, const char *key)
{
	char path[64], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	cr_assert(ne(ptr, f, NULL));
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 10);
	}
	fclose(f);
	return value;
}

static char *stderr_of(pid_t pid)
{
	static char target[256];
	char path[64];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/%d/fd/2", pid);
	len = readlink(path, target, sizeof(target) - 1);
	target[MAX(len, 0)] = '\0';
	return target;
}

Test(budget, a_shell_has_given_up_what_it_does_not_need, .timeout = 60)
{
	static struct nest n;
	struct thaw_slot *slot;
	pid_t pid;

	slot = nest_of_one(&n, &pid);
	cr_expect(eq(long, status_of(pid, "Seccomp:"), 2));
	cr_expect(eq(long, status_of(pid, "NoNewPrivs:"), 1));
	/* Three standard ones, socket, mailbox, VM, vCPU, pagemap, the template's memory. */
	cr_expect(le(int, count_fds(pid), 9));
	/* Neither the caller's terminal nor its session. */
	cr_expect(eq(str, stderr_of(pid), "/dev/null"));
	cr_expect(eq(int, getsid(pid), thaw_zygote_pid(n.zygote)));
	thaw_slot_close(slot);
	nest_wait_gone(pid);
	nest_free(&n);
}

static long memory_used(void)
{
	FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long kib = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, "MemAvailable:", 13) == 0)
			kib = strtol(line + 13, NULL, 10);
	}
	fclose(f);
	return -kib;
}

/* Wait until the shells of a pool that is full are all that there are. A fill forgets others. */
static void settle(const struct nest *n, int shells)
{
	nest_settle(n, shells);
	cr_expect(eq(int, thaw_pool_fill(n->pool, NULL), shells));
}

Test(budget, starts_leave_nothing_behind, .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	int mine = 0, zygotes = 0;
	unsigned int starts = MAX(200 / slow(), 20u);

	nest_make(&n, "echo", 4);
	for (unsigned int i = 0; i < starts; i++) {
		struct thaw_slot *slot = nest_start(&n);

		nest_ask(slot, "here and gone");
		thaw_slot_close(slot);
		if (i % 4 == 3)
			cr_assert(eq(int, thaw_pool_fill(n.pool, &err), 4), "%s", err.text);
		if (i == 11) {
			settle(&n, 4);
			mine = count_fds(getpid());
			zygotes = count_fds(thaw_zygote_pid(n.zygote));
		}
	}
	settle(&n, 4);
	cr_expect(eq(int, count_fds(getpid()), mine));
	cr_expect(le(int, count_fds(thaw_zygote_pid(n.zygote)), zygotes + 4));
	nest_free(&n);
}

#define COSTED 60

/* KiB that one more shell takes from the host. */
static long cost_of_shells(struct nest *n)
{
	struct thaw_err err = { 0 };
	struct thaw_pool *more;
	long before = memory_used(), after;

	cr_assert(eq(int, thaw_pool_open(&more, n->zygote, n->template, COSTED, 1, &err), 0),
		  "%s", err.text);
	after = memory_used();
	thaw_pool_close(more);
	return (after - before) / COSTED;
}

Test(budget, a_shell_costs_less_than_is_accounted_for_it, .timeout = 120)
{
	static struct nest n;
	long cost = 0;

	nest_make(&n, "echo", 1);
	/* Whoever else is on this host takes and gives memory, too, but not each time. */
	for (int i = 0; i < 5 && (cost <= 0 || cost * 1024 > SHELL_MEMORY); i++) {
		cost = cost_of_shells(&n);
		fprintf(stderr, "a waiting shell: %ld KiB\n", cost);
	}
	cr_expect(gt(long, cost, 0));
	cr_expect(le(long, cost * 1024, SHELL_MEMORY));
	nest_free(&n);
}
