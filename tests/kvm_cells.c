/* SPDX-License-Identifier: Apache-2.0 */
/* kvm_cells.c - shells in cells: what they have, that machines work there, and that nothing of a
 * cell outlives its shell. Skipped where there are no cells. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/clock.h"
#include "snapshot/pool.h"
#include "tests/helpers_nest.h"
#include "tests/helpers_proc.h"

static const struct thaw_cells cells = { 70000, 1000 };

static void begin(const struct thaw_cells *c)
{
	const char *why = nest_no_cells();

	if (why)
		cr_skip_test("%s", why);
	nest_in_cells(c);
}

static unsigned long status_of(pid_t pid, const char *key, int base)
{
	char path[64], line[256];
	unsigned long value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	cr_assert(ne(ptr, f, NULL), "%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtoul(line + strlen(key), NULL, base);
	}
	fclose(f);
	return value;
}

/* Of all threads: KVM has one of its own in there. */
static void expect_in_cell(pid_t pid)
{
	static const char *const caps[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:",
					    "CapAmb:" };
	static const char *const own[] = { "mnt", "pid", "net", "ipc", "uts" };
	char path[64];
	DIR *tasks;

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		cr_expect(ne(u64, namespace_of(pid, own[i]), namespace_of(getpid(), own[i])),
			  "%s", own[i]);
	/* KVM's own thread, which never leaves the kernel, was there before the filter. */
	cr_expect(eq(ulong, status_of(pid, "Seccomp:", 10), 2));
	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	cr_expect(eq(int, count_entries(path), 2), "an empty root");
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	for (struct dirent *d; (d = readdir(tasks));) {
		pid_t tid = atoi(d->d_name);

		if (tid == 0)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(caps); i++)
			cr_expect(eq(ulong, status_of(tid, caps[i], 16), 0), "%d: %s", tid,
				  caps[i]);
		cr_expect(ge(ulong, status_of(tid, "Uid:", 10), cells.first_id), "thread %d",
			  tid);
		cr_expect(eq(ulong, status_of(tid, "NoNewPrivs:", 10), 1), "thread %d", tid);
	}
	closedir(tasks);
}

/* Before its first rewind. In the order in which it came to them. */
static void expect_descriptors(pid_t pid)
{
	static const char *const wanted[] = { "/dev/null",
					      "/dev/null",
					      "/dev/null",
					      "socket:",
					      "/memfd:thaw-template",
					      "/memfd:thaw-mailbox",
					      "kvm-vm",
					      "/pagemap",
					      "kvm-vcpu:0" };
	char path[64], target[256];
	size_t n = 0;

	for (int fd = 0; fd < 64; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len < 0)
			continue;
		target[len] = '\0';
		cr_assert(lt(sz, n, ARRAY_SIZE(wanted)), "%d: %s", fd, target);
		cr_expect(ne(ptr, strstr(target, wanted[n]), NULL), "%d: %s, expected %s", fd,
			  target, wanted[n]);
		n++;
	}
	cr_expect(eq(sz, n, ARRAY_SIZE(wanted)));
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	cr_expect(eq(int, count_entries(path), (int)n + 2), "none beyond");
}

Test(cells, a_shell_is_in_one_and_has_what_it_needs, .timeout = 60)
{
	static struct nest n;
	struct thaw_slot *slots[2];
	pid_t pids[2];

	begin(&cells);
	nest_make(&n, "echo", 2);
	for (int i = 0; i < 2; i++) {
		slots[i] = nest_start(&n);
		nest_ask(slots[i], "hello");
		pids[i] = thaw_slot_pid(slots[i]);
		expect_in_cell(pids[i]);
		expect_descriptors(pids[i]);
	}
	cr_expect(ne(u64, namespace_of(pids[0], "net"), namespace_of(pids[1], "net")));
	cr_expect(ne(ulong, status_of(pids[0], "Uid:", 10), status_of(pids[1], "Uid:", 10)));
	for (int i = 0; i < 2; i++)
		thaw_slot_close(slots[i]);
	nest_free(&n);
}

static void expect_rewound(struct thaw_slot *slot)
{
	struct thaw_err err = { 0 };

	cr_assert(eq(int, thaw_slot_rewind(slot, 1, &err), 0), "%s", err.text);
	cr_assert(eq(int, thaw_slot_settle(slot, &err), 0), "%s", err.text);
}

Test(cells, machines_answer_crash_time_out_and_are_rewound, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_reply reply;
	struct thaw_slot *slot;

	begin(&cells);
	nest_make(&n, "tests/moody", 2);
	slot = nest_start(&n);
	for (int round = 0; round < 3; round++) {
		cr_expect(eq(int,
			     thaw_slot_invoke(slot, "crash", 6, NEST_TIMEOUT_MS, &reply, &err),
			     -THAW_CRASHED));
		expect_rewound(slot);
		cr_expect(eq(int, thaw_slot_invoke(slot, "hang", 5, slow() * 100, &reply, &err),
			     -THAW_TIMED_OUT));
		expect_rewound(slot);
		cr_assert(eq(int,
			     thaw_slot_invoke(slot, "short", 5, NEST_TIMEOUT_MS, &reply, &err),
			     0),
			  "%s", err.text);
		cr_expect(eq(sz, reply.len, strlen("moody: short")));
		expect_rewound(slot);
	}
	kill(thaw_slot_pid(slot), SIGKILL);
	cr_expect(eq(int, thaw_slot_invoke(slot, "short", 5, NEST_TIMEOUT_MS, &reply, &err),
		     -THAW_CRASHED));
	cr_expect(ne(ptr, strstr(err.text, "SIGKILL"), NULL), "%s", err.text);
	thaw_slot_close(slot);
	nest_free(&n);
}

Test(cells, a_machine_can_be_forked, .timeout = 60)
{
	static struct nest n;
	struct thaw_snapshot *snapshot;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;

	begin(&cells);
	nest_make(&n, "echo", 1);
	slot = nest_start(&n);
	nest_ask(slot, "before");
	cr_assert(eq(int, thaw_slot_snapshot_begin(&snapshot, slot, &err), 0), "%s", err.text);
	thaw_snapshot_close(snapshot);
	nest_ask(slot, "after");
	thaw_slot_close(slot);
	nest_free(&n);
}

/* Shells that are there have different users. */
static void expect_unique(const struct nest *n, int shells)
{
	pid_t pids[16];
	int found = nest_children(thaw_zygote_pid(n->zygote), pids, ARRAY_SIZE(pids));

	cr_expect(ge(int, found, shells));
	for (int i = 0; i < found; i++) {
		for (int j = 0; j < i; j++) {
			if (!nest_is_gone(pids[i]) && !nest_is_gone(pids[j]))
				cr_expect(ne(ulong, status_of(pids[i], "Uid:", 10),
					     status_of(pids[j], "Uid:", 10)));
		}
	}
}

/* Eleven users for four slots: each comes round many times. */
Test(cells, users_are_one_shells_at_a_time, .timeout = 120)
{
	static const struct thaw_cells few = { 70000, 11 };
	static struct nest n;
	struct thaw_err err = { 0 };

	begin(&few);
	nest_make(&n, "echo", 4);
	for (unsigned int round = 0; round < MAX(50 / slow(), 5u); round++) {
		struct thaw_slot *slots[4];

		for (int i = 0; i < 4; i++)
			slots[i] = nest_start(&n);
		expect_unique(&n, 4);
		for (int i = 0; i < 4; i++)
			thaw_slot_close(slots[i]);
		/* What was closed may end while it is filled; the round before is over. */
		nest_settle(&n, 0);
		cr_assert(eq(int, thaw_pool_fill(n.pool, &err), 4), "%s", err.text);
	}
	nest_free(&n);
}

Test(cells, too_few_users_are_an_error_of_the_pool, .timeout = 60)
{
	static const struct thaw_cells few = { 70000, 2 };
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_pool *pool;

	begin(&few);
	nest_begin(&n, "echo");
	cr_expect(eq(int, thaw_pool_open(&pool, n.zygote, n.template, 3, 1 << 20, &err),
		     -EUSERS));
	cr_expect(ne(ptr, strstr(err.text, "all 2 users of cells"), NULL), "%s", err.text);
	nest_free(&n);
}

Test(cells, wrong_ranges_are_errors_of_the_zygote, .timeout = 60)
{
	static const struct thaw_cells root = { 0, 10 };
	struct thaw_zygote *zygote;
	struct thaw_err err = { 0 };

	cr_expect(eq(int, thaw_zygote_open(&zygote, 0, &root, &err), -EINVAL));
	cr_expect(ne(ptr, strstr(err.text, "10 users from 0 on"), NULL), "%s", err.text);
}

Test(cells, the_zygotes_death_is_theirs, .timeout = 60)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	struct thaw_slot *slot;
	pid_t pids[3];

	begin(&cells);
	nest_make(&n, "echo", 3);
	slot = nest_start(&n);
	nest_ask(slot, "there");
	cr_assert(eq(int, nest_children(thaw_zygote_pid(n.zygote), pids, 3), 3));
	kill(thaw_zygote_pid(n.zygote), SIGKILL);
	for (int i = 0; i < 3; i++)
		nest_wait_gone(pids[i]);
	cr_expect(eq(int, thaw_slot_send(slot, "x", 1, 0, &err), -EPIPE), "%s", err.text);
	thaw_slot_close(slot);
	nest_free(&n);
}

/* Its shells count as processes of the same users until they are reaped, which is up to whoever
 * they were left to: here nobody does. */
Test(cells, a_zygote_can_follow_one_that_was_killed, .timeout = 120)
{
	static const struct thaw_cells few = { 70000, 8 };
	static struct nest n;
	struct thaw_err err = { 0 };

	begin(&few);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	nest_make(&n, "echo", 4);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 4; i++)
			nest_ask(nest_start(&n), "here");
		kill(thaw_zygote_pid(n.zygote), SIGKILL);
		thaw_pool_close(n.pool);
		thaw_zygote_close(n.zygote);
		cr_assert(eq(int, thaw_zygote_open(&n.zygote, 0, &few, &err), 0), "%s",
			  err.text);
		cr_assert(eq(int,
			     thaw_pool_open(&n.pool, n.zygote, n.template, 4, 1 << 20, &err),
			     0),
			  "%s", err.text);
	}
	nest_free(&n);
}

/* Network namespaces of this host, which end after their last process did; -1: unknown. */
static long count_networks(void)
{
	FILE *f = fopen("/proc/slabinfo", "re");
	char line[256];
	long n = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "net_namespace %ld", &n) == 1)
			break;
	}
	if (f)
		fclose(f);
	return n;
}

static int count_mounts(pid_t pid)
{
	char path[64], line[1024];
	int n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	return n;
}

static int count_fds(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	return count_entries(path);
}

Test(cells, nothing_is_left_of_200, .timeout = 120)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	unsigned int rounds = MAX(25 / slow(), 4u);
	int fds = 0, mounts = 0;
	long networks = 0;
	pid_t zygote;

	begin(&cells);
	nest_make(&n, "echo", 8);
	zygote = thaw_zygote_pid(n.zygote);
	for (unsigned int round = 0; round < rounds; round++) {
		for (int i = 0; i < 8; i++)
			thaw_slot_close(nest_start(&n));
		cr_assert(eq(int, thaw_pool_fill(n.pool, &err), 8), "%s", err.text);
		if (round == 1) {
			nest_settle(&n, 8);
			fds = count_fds(zygote);
			mounts = count_mounts(zygote);
			networks = count_networks();
		}
	}
	nest_settle(&n, 8);
	cr_expect(le(int, count_fds(zygote), fds));
	cr_expect(eq(int, count_mounts(zygote), mounts));
	cr_expect(eq(int, count_mounts(getpid()), mounts));
	/* The kernel counts some that are free, too, but not half of what there was since. */
	networks += (long)(rounds - 2) * 4;
	for (unsigned int ms = 0; ms < slow() * 10000 && count_networks() > networks; ms++)
		usleep(1000);
	cr_expect(le(long, count_networks(), networks));
	nest_free(&n);
}

/* ---- what they cost ---- */

static int by_time(const void *a, const void *b)
{
	nsec_t x = *(const nsec_t *)a, y = *(const nsec_t *)b;

	return (x > y) - (x < y);
}

#define FILLS 5

/* Median of the time in which @slots shells are made at once. */
static double fill_ms(struct nest *n, unsigned int slots)
{
	struct thaw_err err = { 0 };
	nsec_t took[FILLS];

	for (int i = 0; i < FILLS; i++) {
		struct thaw_pool *pool;
		nsec_t begin = clock_monotonic();
		int ret = thaw_pool_open(&pool, n->zygote, n->template, slots, 1 << 20, &err);

		took[i] = clock_monotonic() - begin;
		cr_assert(eq(int, ret, 0), "%s", err.text);
		thaw_pool_close(pool);
	}
	qsort(took, FILLS, sizeof(took[0]), by_time);
	return (double)took[FILLS / 2] / 1e6;
}

/* For docs/design-notes.md; no time is expected. */
Test(cells, what_they_cost_is_printed, .timeout = 300)
{
	static struct nest n;
	struct thaw_err err = { 0 };
	unsigned int many = MAX(200 / slow(), 5u);
	double one[2], all[2];

	begin(&cells);
	nest_begin(&n, "echo");
	for (int in_cells = 1; in_cells >= 0; in_cells--) {
		one[in_cells] = fill_ms(&n, 1);
		all[in_cells] = fill_ms(&n, many);
		thaw_zygote_close(n.zygote);
		cr_assert(eq(int, thaw_zygote_open(&n.zygote, 0, NULL, &err), 0), "%s",
			  err.text);
	}
	fprintf(stderr,
		"one shell %.2f ms, %.2f in a cell; %u at once %.0f ms, %.0f in cells\n",
		one[0], one[1], many, all[0], all[1]);
	nest_free(&n);
}
