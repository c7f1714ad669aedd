/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_warm.c - what a start of a rewound machine costs, in counts: system calls, seen by a
 * tracer, and page faults, as the kernel counts them. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snapshot/rewind.h"
#include "tests/helpers_nest.h"

/* Beyond the rewinds after which pages that never changed are given back, and come again. */
#define WARM_UPS (REWIND_EQUAL_MAX + 10)

static long faults_so_far(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* A clone that was invoked and rewound a few times, as any slot of a pool. */
static struct thaw_clone *warm_clone(struct nest *n)
{
	struct thaw_clone *clone;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;

	cr_assert(eq(int, thaw_clone_open(&clone, n->template, NULL, NULL, &err), 0), "%s",
		  err.text);
	for (unsigned int i = 0; i < WARM_UPS; i++) {
		cr_assert(eq(int, thaw_clone_invoke(clone, "warm", 4, 0, &reply, &err), 0));
		cr_assert(eq(int, thaw_clone_rewind(clone, 0, &err), 0), "%s", err.text);
	}
	return clone;
}

static void invoke(struct thaw_clone *clone, unsigned int timeout_ms)
{
	struct thaw_err err = { 0 };
	struct thaw_reply reply = { 0 };
	int ret = thaw_clone_invoke(clone, "ping", 4, timeout_ms, &reply, &err);

	cr_assert(eq(int, ret, 0), "%s", err.text);
	cr_assert(eq(sz, reply.len, 4));
	cr_assert(eq(int, memcmp(reply.data, "ping", 4), 0));
}

static void open_warm(struct nest *n)
{
	nest_begin(n, "echo");
	nest_take_tier(n, "warm");
}

Test(warm, a_start_meets_no_page_fault, .timeout = 60)
{
	static struct nest n;
	struct thaw_clone *clone;
	struct thaw_err err = { 0 };
	int faulty = 0;

	open_warm(&n);
	clone = warm_clone(&n);
	for (int i = 0; i < 100; i++) {
		long before = faults_so_far();

		invoke(clone, 0);
		faulty += faults_so_far() != before;
		cr_assert(eq(int, thaw_clone_rewind(clone, 0, &err), 0), "%s", err.text);
	}
	fprintf(stderr, "warm starts with a page fault: %d of 100\n", faulty);
	/* The kernel moves pages about for reasons of its own, now and then. */
	cr_expect(le(int, faulty, 2));
	thaw_clone_close(clone);
	nest_free(&n);
}

/* How many of 100 rewinds search memory for what was written to it. */
static uint64_t searches_of(struct thaw_clone *clone, bool looks)
{
	struct thaw_counter counters[8];
	struct thaw_rewinds before, after;
	struct thaw_err err = { 0 };

	thaw_clone_rewinds(clone, &before);
	for (int i = 0; i < 100; i++) {
		invoke(clone, 0);
		if (looks)
			cr_assert(thaw_clone_counters(clone, counters, ARRAY_SIZE(counters)) >
				  0);
		cr_assert(eq(int, thaw_clone_rewind(clone, 0, &err), 0), "%s", err.text);
	}
	thaw_clone_rewinds(clone, &after);
	cr_expect(eq(u64, after.rewinds - before.rewinds, 100));
	return after.searches - before.searches;
}

/* Where KVM tells of no faults each rewind does. */
Test(warm, looking_at_what_devices_count_has_no_memory_searched, .timeout = 60)
{
	static struct nest n;
	struct thaw_clone *clone;
	uint64_t usual;

	open_warm(&n);
	clone = warm_clone(&n);
	usual = searches_of(clone, false);
	/* As with page faults: now and then one more. */
	cr_expect(le(u64, searches_of(clone, true), usual + 10));
	thaw_clone_close(clone);
	nest_free(&n);
}

/* ---- system calls ---- */

/* In the traced process: the calls between two getppid() are counted. */
static void traced(struct nest *n, unsigned int timeout_ms)
{
	struct thaw_clone *clone = warm_clone(n);

	/* A thread's first deadline makes its timer. */
	invoke(clone, timeout_ms);
	cr_assert(eq(int, thaw_clone_rewind(clone, 0, NULL), 0));
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
		_exit(77);
	raise(SIGSTOP);
	getppid();
	invoke(clone, timeout_ms);
	getppid();
	_exit(0);
}

/* The number of the system call that @pid is about to make, or has made. */
static long call_of(pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) < 0 ||
	    info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return -1;
	return (long)info.entry.nr;
}

/* How many calls a warm start makes; -1: tracing is not allowed here. */
static int count_calls(struct nest *n, unsigned int timeout_ms)
{
	pid_t pid = fork();
	int status, marks = 0, calls = 0;

	if (pid == 0)
		traced(n, timeout_ms);
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return -1;
	cr_assert(eq(int, status & 0xff, 0x7f), "status 0x%x: not stopped", status);
	ptrace(PTRACE_SETOPTIONS, pid, NULL,
	       (void *)(uintptr_t)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
	for (int sig = 0;;) {
		long call;

		ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(uintptr_t)sig);
		waitpid(pid, &status, 0);
		if (!WIFSTOPPED(status))
			break;
		sig = WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : WSTOPSIG(status);
		call = sig == 0 ? call_of(pid) : -1;
		marks += call == SYS_getppid;
		if (marks == 1 && call >= 0 && call != SYS_getppid) {
			fprintf(stderr, "system call %ld\n", call);
			calls++;
		}
	}
	cr_assert(eq(int, status, 0), "not a clean exit");
	cr_assert(eq(int, marks, 2));
	return calls;
}

Test(warm, a_start_is_one_system_call_and_two_more_for_a_deadline, .timeout = 60)
{
	static struct nest n;
	int calls;

	open_warm(&n);
	calls = count_calls(&n, 0);
	if (calls < 0)
		cr_skip_test("ptrace is not allowed here");
	cr_expect(eq(int, calls, 1));
	cr_expect(eq(int, count_calls(&n, slow() * 10000), 3));
	nest_free(&n);
}
