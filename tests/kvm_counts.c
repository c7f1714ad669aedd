/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvm_counts.c - what a start from a pool costs, thaw_slot_start to the reply, in counts: system
 * calls, page faults and allocations, of the caller and of the shell.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/measure/count.h"
#include "tests/helpers_nest.h"

/* ---- allocations ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* In memory of caller and shells. */
struct allocations {
	bool counted; /* now */
	unsigned int caller, shell;
};
static struct allocations *allocations;
static bool is_caller; /* set where no shell is a copy of any more */

/* In place of the library's, but for a sanitizer's, which has its own. */
#if !SANITIZED
static void count_allocation(void)
{
	if (!allocations || !allocations->counted)
		return;
	__atomic_fetch_add(is_caller ? &allocations->caller : &allocations->shell, 1,
			   __ATOMIC_RELAXED);
}

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);

void *malloc(size_t size)
{
	count_allocation();
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count_allocation();
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count_allocation();
	return __libc_realloc(p, size);
}
#endif

/* ---- what is counted ---- */

static struct thaw_slot *used;

/* A pool of two, one of which was used: what is done once in a process is done. */
static int prepare(void *arg, struct thaw_err *err)
{
	struct nest *n = arg;

	(void)err;
	allocations = mmap(NULL, sizeof(*allocations), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, allocations, MAP_FAILED));
	nest_make(n, "echo", 2);
	is_caller = true;
	used = nest_start(n);
	nest_ask(used, "warm");
	return 0;
}

static int start(void *arg, struct thaw_err *err)
{
	struct nest *n = arg;
	struct thaw_slot *slot;
	struct thaw_reply reply;
	int ret = thaw_slot_start(&slot, n->pool, NULL, NULL, NULL, err);

	return ret < 0 ? ret : thaw_slot_invoke(slot, "ping", 4, NEST_TIMEOUT_MS, &reply, err);
}

static struct counts take(const struct counted *what)
{
	struct thaw_err err = { 0 };
	struct counts c;
	int ret = count_run(&c, what, &err);

	if (ret == -EPERM)
		cr_skip_test("ptrace is not allowed here");
	cr_assert(eq(int, ret, 0), "%s", err.text);
	return c;
}

Test(counts, the_caller_makes_four_calls_and_meets_no_page_fault, .timeout = 60)
{
	static struct nest n;
	const struct counted what = { .prepare = prepare, .run = start, .arg = &n };
	struct counts c = take(&what);

	fprintf(stderr, "caller: %u system calls, %u page faults\n", c.calls, c.faults);
	cr_expect(eq(uint, c.calls, 4));
	if (!SANITIZED)
		cr_expect(le(uint, c.faults, 2));
}

/* ---- a clone in the caller's process ---- */

static int prepare_warm(void *arg, struct thaw_err *err)
{
	struct nest *n = arg;

	(void)err;
	nest_begin(n, "echo");
	nest_take_tier(n, "warm");
	return 0;
}

static int open_clone(void *arg, struct thaw_err *err)
{
	const struct nest *n = arg;
	struct thaw_clone *clone;

	return thaw_clone_open(&clone, n->template, NULL, NULL, err);
}

Test(counts, nothing_is_tried_when_a_clone_is_opened, .timeout = 60)
{
	static struct nest n;
	const struct counted what = { .prepare = prepare_warm, .run = open_clone, .arg = &n };
	struct counts c = take(&what);

	fprintf(stderr, "a warm clone: %u system calls\n", c.calls);
	/* 29; with a trial of KVM 194. */
	cr_expect(le(uint, c.calls, 60));
}

/* ---- the shell ---- */

/* The one that waits. */
static pid_t waiting_shell(const struct nest *n)
{
	pid_t shells[2];

	cr_assert(eq(int, nest_children(thaw_zygote_pid(n->zygote), shells, 2), 2));
	return shells[0] == thaw_slot_pid(used) ? shells[1] : shells[0];
}

static unsigned long faults_of(pid_t pid)
{
	unsigned long minor = 0, major = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	cr_assert(ne(ptr, f, NULL));
	/* proc_pid_stat(5): minflt and majflt are the 10th and the 12th. */
	cr_expect(eq(int,
		     fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %lu %*u %lu", &minor,
			    &major),
		     2));
	fclose(f);
	return minor + major;
}

Test(counts, nobody_allocates_and_the_shell_meets_the_faults_of_its_guest, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	unsigned long before, faults;
	pid_t pid;

	cr_assert(eq(int, prepare(&n, &err), 0));
	pid = waiting_shell(&n);
	before = faults_of(pid);
	allocations->counted = true;
	cr_assert(eq(int, start(&n, &err), 0), "%s", err.text);
	allocations->counted = false;
	faults = faults_of(pid) - before;
	fprintf(stderr, "shell: %lu page faults; allocations: %u of the caller, %u of it\n",
		faults, allocations->caller, allocations->shell);
	cr_expect(eq(uint, allocations->caller, 0));
	cr_expect(eq(uint, allocations->shell, 0));
	/* 19, most of them of pages that the guest touches; a sanitizer has more of its own. */
	if (!SANITIZED)
		cr_expect(le(uint, (unsigned int)faults, 40));
	nest_free(&n);
}

static bool is_over; /* atomic */

static void *start_and_tell(void *arg)
{
	struct thaw_err err = { 0 };

	cr_expect(eq(int, start(arg, &err), 0), "%s", err.text);
	__atomic_store_n(&is_over, true, __ATOMIC_RELAXED);
	return NULL;
}

/* The calls of a shell from one stop to the next, by number, until its caller has the reply. */
static void trace(pid_t pid, unsigned int *calls)
{
	struct __ptrace_syscall_info info;
	int status;

	while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
		if (waitpid(pid, &status, WNOHANG) != pid)
			continue;
		cr_assert(eq(int, status & 0xff, 0x7f), "status 0x%x: not stopped", status);
		if (WSTOPSIG(status) == (SIGTRAP | 0x80) &&
		    ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr < 512)
			calls[info.entry.nr]++;
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	}
}

/* The most that a shell may make of a call from its start to its reply. */
static unsigned int most_calls(size_t nr)
{
	static const struct {
		long nr;
		unsigned int n;
	} most[] = {
		{ SYS_mmap, 1 },   /* the template's memory */
		{ SYS_ioctl, 10 }, /* 6: state, clock, KVM_RUN; hosts differ in what is new */
		{ SYS_getrandom, 1 },	  /* entropy */
		{ SYS_timer_settime, 2 }, /* the deadline, and its end */
		{ SYS_recvmsg, 4 }, /* start and event, what the tracer interrupted, the next */
		{ SYS_sendto, 1 },  /* the reply */
		{ SYS_restart_syscall, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(most); i++) {
		if (most[i].nr == (long)nr)
			return most[i].n;
	}
	return 0;
}

Test(counts, the_shell_makes_the_calls_of_a_restore_and_no_other, .timeout = 60)
{
	static struct nest n;
	unsigned int calls[512] = { 0 };
	struct thaw_err err = { 0 };
	pthread_t thread;
	pid_t pid;

	cr_assert(eq(int, prepare(&n, &err), 0));
	pid = waiting_shell(&n);
	if (ptrace(PTRACE_SEIZE, pid, NULL, (void *)(uintptr_t)PTRACE_O_TRACESYSGOOD) < 0)
		cr_skip_test("ptrace is not allowed here");
	ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
	cr_assert(eq(int, pthread_create(&thread, NULL, start_and_tell, &n), 0));
	trace(pid, calls);
	pthread_join(thread, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		if (calls[i] > 0)
			fprintf(stderr, "shell: system call %zu: %u\n", i, calls[i]);
		cr_expect(le(uint, calls[i], most_calls(i)), "system call %zu", i);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL,
		0); /* else it is there for its parent as long as we are its tracer */
	nest_free(&n);
}
