/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/count.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/thaw/cmd.h"

/* The child makes this call, which nothing else here makes, before and after what is counted. */
#define MARK SYS_getppid

/* In memory of both. */
struct told {
	int ret;
	unsigned int faults;
	struct thaw_err err;
};

static unsigned int faults_so_far(void)
{
	struct rusage u;

	getrusage(RUSAGE_THREAD, &u);
	return (unsigned int)(u.ru_minflt + u.ru_majflt);
}

static _Noreturn void child(const struct counted *what, struct told *told)
{
	unsigned int before;

	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0) {
		told->ret = err_sys(cmd_err(&told->err), "ptrace");
		_exit(0);
	}
	raise(SIGSTOP); /* the parent begins to look */
	told->ret = what->prepare(what->arg, &told->err);
	if (told->ret == 0) {
		before = faults_so_far();
		syscall(MARK);
		told->ret = what->run(what->arg, &told->err);
		syscall(MARK);
		told->faults = faults_so_far() - before;
	}
	_exit(0);
}

/* At a stop on the way into a call: count it, or the marks. */
static void count_entry(pid_t pid, struct counts *c, unsigned int *marks)
{
	struct user_regs_struct regs;

	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	if (regs.orig_rax == MARK)
		(*marks)++;
	else if (*marks == 1)
		c->calls++;
}

/* Let the child run to its end, from call to call. */
static int follow(pid_t pid, struct counts *c, struct err *err)
{
	unsigned int marks = 0;
	bool entering = true;
	int status = 0, signal = 0;

	if (waitpid(pid, &status, 0) < 0)
		return err_sys(err, "wait for the counted process");
	if (WIFSTOPPED(status))
		ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD);
	while (WIFSTOPPED(status)) {
		ptrace(PTRACE_SYSCALL, pid, NULL, signal);
		if (waitpid(pid, &status, 0) < 0)
			return err_sys(err, "wait for the counted process");
		signal = WIFSTOPPED(status) ? WSTOPSIG(status) : 0;
		if (signal == (SIGTRAP | 0x80)) { /* ptrace(2), PTRACE_O_TRACESYSGOOD */
			if (entering)
				count_entry(pid, c, &marks);
			entering = !entering;
			signal = 0;
		}
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(err, EIO, "the counted process died (status 0x%x)", status);
	return 0;
}

int count_run(struct counts *c, const struct counted *what, struct thaw_err *err)
{
	struct told *told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid;
	int ret;

	*c = (struct counts){ 0 };
	if (told == MAP_FAILED)
		return err_sys(cmd_err(err), "map memory for counts");
	pid = fork();
	if (pid == 0)
		child(what, told);
	ret = pid < 0 ? err_sys(cmd_err(err), "fork") : follow(pid, c, cmd_err(err));
	if (ret == 0 && told->ret < 0) {
		*err = told->err;
		ret = told->ret;
	}
	c->faults = told->faults;
	munmap(told, sizeof(*told));
	return ret;
}
