/* SPDX-License-Identifier: Apache-2.0 */
/* test_cell.c - what a process in a cell finds, and what is refused. Those that enter one need
 * root. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "engine/err.h"
#include "snapshot/cell.h"
#include "snapshot/filter.h"
#include "tests/helpers_kvm.h"
#include "tests/helpers_nest.h"
#include "tests/helpers_proc.h"

static const struct cell_range range = { 70000, 8 };

/* What a child in a cell saw; in memory that both share. */
struct seen {
	int ret; /* of cell_enter */
	char text[240];
	int answers[16];
};

static struct seen *seen;
static struct cells cells;

/* Opens cells, or skips. */
static void begin(void)
{
	struct err err = { 0 };
	const char *why = nest_no_cells();

	if (why)
		cr_skip_test("%s", why);
	seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	cr_assert(eq(int, cells_open(&cells, &range, &err), 0), "%s", err.text);
}

/* A child that has entered a cell, looked, and waits for its end. */
static pid_t in_cell(uint32_t id, void (*look)(void))
{
	int said[2];
	char byte = 0;
	pid_t pid;

	cr_assert(eq(int, pipe(said), 0));
	pid = cells_fork(&cells);
	cr_assert(ge(int, pid, 0));
	if (pid == 0) {
		struct err err = { 0 };

		seen->ret = cell_enter(&cells, id, &err);
		strcpy(seen->text, err.text);
		if (seen->ret == 0 && look)
			look();
		if (write(said[1], &byte, 1) == 1)
			pause();
		_exit(0);
	}
	close(said[1]);
	cr_expect(eq(int, read(said[0], &byte, 1), 1), "it died");
	close(said[0]);
	cr_assert(eq(int, seen->ret, 0), "%s", seen->text);
	return pid;
}

static void end(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, WIFSIGNALED(status), 1));
}

static int entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* The errno of a call that returned @ret, 0: it worked. */
static int fails_with(long ret)
{
	return ret < 0 ? errno : 0;
}

static void look_at_files(void)
{
	struct statvfs fs = { 0 };

	seen->answers[0] = entries("/");
	seen->answers[1] = statvfs("/", &fs);
	seen->answers[2] = (int)(fs.f_flag & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC));
	seen->answers[3] = fails_with(open("/new", O_CREAT | O_WRONLY, 0600));
	seen->answers[4] = fails_with(open("/proc/self/status", O_RDONLY));
	seen->answers[5] = fails_with(mount("x", "/", "tmpfs", 0, NULL));
	seen->answers[6] = fails_with(umount2("/", MNT_DETACH));
	seen->answers[7] = entries("..");
	seen->answers[8] = fails_with(mkdir("/new", 0700));
}

Test(cell, files_are_none_and_none_can_be_made, .timeout = 30)
{
	static const int wanted[] = {
		2,     0,      ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC,
		EROFS, ENOENT, EPERM,
		EPERM, 2,      EROFS
	};

	begin();
	end(in_cell(70000, look_at_files));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect(eq(int, seen->answers[i], wanted[i]), "answer %zu", i);
	cr_expect(ge(int, entries("/proc/self"), 3), "the caller's files are there");
	cells_close(&cells);
}

/* The rest of the line of /proc/PID/status that starts with @key. */
static const char *status_line(pid_t pid, const char *key)
{
	static char line[256];
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0) {
			fclose(f);
			line[strcspn(line, "\n")] = '\0';
			return line + strlen(key);
		}
	}
	cr_assert(false, "%s has no '%s'", path, key);
	return "";
}

Test(cell, privileges_are_none, .timeout = 30)
{
	static const struct {
		const char *key, *value;
	} wanted[] = {
		{ "Uid:", "\t70003\t70003\t70003\t70003" },
		{ "Gid:", "\t70003\t70003\t70003\t70003" },
		{ "Groups:", "\t " },
		{ "CapInh:", "\t0000000000000000" },
		{ "CapPrm:", "\t0000000000000000" },
		{ "CapEff:", "\t0000000000000000" },
		{ "CapBnd:", "\t0000000000000000" },
		{ "CapAmb:", "\t0000000000000000" },
		{ "NoNewPrivs:", "\t1" },
	};
	pid_t pid;

	begin();
	pid = in_cell(70003, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect(eq(str, (char *)status_line(pid, wanted[i].key),
			     (char *)wanted[i].value),
			  "%s", wanted[i].key);
	end(pid);
	cells_close(&cells);
}

Test(cell, namespaces_are_nobody_elses, .timeout = 30)
{
	static const char *const own[] = { "mnt", "pid", "net", "ipc", "uts" };
	pid_t a, b;

	begin();
	a = in_cell(70000, NULL);
	b = in_cell(70001, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		cr_expect(ne(u64, namespace_of(a, own[i]), namespace_of(getpid(), own[i])),
			  "%s", own[i]);
		cr_expect(ne(u64, namespace_of(a, own[i]), namespace_of(b, own[i])), "%s",
			  own[i]);
	}
	cr_expect(eq(u64, namespace_of(getpid(), "pid_for_children"),
		     namespace_of(getpid(), "pid")));
	end(a);
	end(b);
	cells_close(&cells);
}

static pid_t sibling;

static void reach_out(void)
{
	struct rlimit limit = { 1000, 1000 };

	seen->answers[0] = getpid();
	seen->answers[1] = getppid();
	seen->answers[2] = fails_with(kill(sibling, SIGKILL));
	seen->answers[3] = fails_with(ptrace(PTRACE_ATTACH, sibling, 0, 0));
	seen->answers[4] = fails_with(syscall(SYS_pidfd_open, sibling, 0));
	seen->answers[5] = fails_with(kill(-1, SIGKILL));
	seen->answers[6] = fails_with(unshare(CLONE_NEWNET));
	seen->answers[7] = fails_with(setuid(0));
	seen->answers[8] = fails_with(setrlimit(RLIMIT_NOFILE, &limit));
	seen->answers[9] = fails_with(socket(AF_INET, SOCK_RAW, 1));
	seen->answers[10] = fails_with(setns(cells.processes, CLONE_NEWPID));
	seen->answers[11] = fails_with(sethostname("x", 1));
	seen->answers[12] = fails_with(syscall(SYS_setgroups, 0, NULL));
}

Test(cell, nobody_else_is_reached, .timeout = 30)
{
	static const int wanted[] = { 1,     0,	    ESRCH, ESRCH, ESRCH, ESRCH, EPERM,
				      EPERM, EPERM, EPERM, EPERM, EPERM, EPERM };

	begin();
	sibling = in_cell(70000, NULL);
	end(in_cell(70001, reach_out));
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
		cr_expect(eq(int, seen->answers[i], wanted[i]), "answer %zu", i);
	cr_expect(eq(int, kill(sibling, 0), 0), "the sibling lives");
	end(sibling);
	cells_close(&cells);
}

static void count_forks(void)
{
	int n = 0;

	while (n < 100) {
		pid_t pid = fork();

		if (pid < 0)
			break;
		if (pid == 0) {
			pause();
			_exit(0);
		}
		n++;
	}
	seen->answers[0] = n;
}

/* And they die with the first of their namespace, or this would wait for ever. */
Test(cell, processes_are_few, .timeout = 30)
{
	begin();
	end(in_cell(70002, count_forks));
	cr_expect(eq(int, seen->answers[0], 63));
	cells_close(&cells);
}

static void call_what_is_filtered(void)
{
	struct filter filter;

	if (filter_init(&filter, NULL) == 0 && filter_enter(&filter, NULL) == 0)
		syscall(SYS_uname, NULL);
}

static void fault(void)
{
	static int *volatile nowhere = (int *)16;

	*nowhere = 1;
}

/* The first process of a namespace is spared most signals, not those. */
Test(cell, what_goes_wrong_inside_ends_it, .timeout = 30)
{
	static const struct {
		void (*what)(void);
		int signal;
	} wrong[] = {
		{ call_what_is_filtered, SIGSYS },
		{ fault, SIGSEGV },
		{ abort, SIGSEGV }, /* SIGABRT does nothing to it: abort(3) goes on */
	};

	begin();
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		int status;
		pid_t pid = cells_fork(&cells);

		if (pid == 0 && cell_enter(&cells, range.first_id, NULL) == 0) {
			signal(SIGSEGV, SIG_DFL); /* sanitizers have handlers */
			signal(SIGABRT, SIG_DFL);
			wrong[i].what();
		}
		if (pid == 0)
			_exit(0);
		cr_assert(eq(int, waitpid(pid, &status, 0), pid));
		cr_expect(eq(int, WTERMSIG(status), wrong[i].signal), "%zu", i);
	}
	cells_close(&cells);
}

Test(cell, ids_are_unique_and_come_back_late, .timeout = 30)
{
	struct err err = { 0 };
	uint32_t id;

	begin();
	for (uint32_t i = 0; i < range.count; i++) {
		cr_assert(eq(int, cells_take(&cells, &id, &err), 0));
		cr_expect(eq(u32, id, range.first_id + i));
	}
	cr_expect(eq(int, cells_take(&cells, &id, &err), -EUSERS));
	cr_expect(ne(ptr, strstr(err.text, "all 8 users"), NULL), "%s", err.text);
	cells_give(&cells, 70006);
	cells_give(&cells, 70002);
	cr_assert(eq(int, cells_take(&cells, &id, &err), 0));
	cr_expect(eq(u32, id, 70002));
	cells_give(&cells, 70002);
	cr_assert(eq(int, cells_take(&cells, &id, &err), 0));
	cr_expect(eq(u32, id, 70006), "not the one that was used last");
	cells_close(&cells);
}

Test(cell, a_process_without_one_stays_where_it_is)
{
	struct err err = { 0 };
	uint32_t id = 1;
	int status;
	pid_t pid;

	cr_assert(eq(int, cells_open(&cells, NULL, &err), 0), "%s", err.text);
	cr_assert(eq(int, cells_take(&cells, &id, &err), 0));
	cr_expect(eq(u32, id, CELL_NONE));
	pid = cells_fork(&cells);
	if (pid == 0)
		_exit(cell_enter(&cells, id, NULL) == 0 && getpid() != 1 ? 0 : 1);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, status, 0));
	cells_give(&cells, id);
	cells_close(&cells);
}

Test(cell, ranges_that_are_none_are_refused)
{
	static const struct {
		struct cell_range range;
		const char *why;
	} wrong[] = {
		{ { 0, 10 }, "root" },
		{ { 70000, 0 }, "nobody" },
		{ { UINT32_MAX, 1 }, "no id" },
		{ { UINT32_MAX - 1, 2 }, "the last one is no id" },
		{ { 2, UINT32_MAX }, "more than there are" },
	};
	struct err err;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		cr_expect(eq(int, cells_open(&cells, &wrong[i].range, &err), -EINVAL), "%s",
			  wrong[i].why);
		cr_expect(ne(ptr, strstr(err.text, "expected some of 1 to"), NULL), "%s",
			  err.text);
	}
}

/* By a child, since it is for good. */
Test(cell, who_is_not_root_hears_what_is_missing, .timeout = 30)
{
	int status;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("not root to begin with");
	pid = fork();
	if (pid == 0) {
		struct err err = { 0 };
		bool own;

		if (setresuid(70005, 70005, 70005) < 0)
			_exit(1);
		own = cells_open(&cells, &range, &err) == -EINVAL &&
		      strstr(err.text, "70005 is who asks");
		if (!own ||
		    cells_open(&cells, &(struct cell_range){ 80000, 1 }, &err) != -EPERM ||
		    !strstr(err.text, "cells need root: CAP_SYS_ADMIN is missing"))
			_exit(2);
		_exit(0);
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, status, 0));
}

Test(cell, opening_and_closing_leaves_nothing, .timeout = 30)
{
	ino_t mounts;
	int fds;

	begin();
	cells_close(&cells);
	fds = count_entries("/proc/self/fd");
	mounts = namespace_of(getpid(), "mnt");
	begin();
	cr_expect(eq(u64, namespace_of(getpid(), "mnt"), mounts));
	cells_close(&cells);
	cr_expect(eq(int, count_entries("/proc/self/fd"), fds));
}
