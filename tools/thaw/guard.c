/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/thaw/cmd.h"

#define EXIT_SIGNAL 128 /* and its number, as sh(1) */

static void fill_set(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGQUIT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

static int wait_for(pid_t child, const sigset_t *set)
{
	int status;

	for (;;) {
		int sig = sigwaitinfo(set, NULL);

		if (waitpid(child, &status, WNOHANG) == child)
			return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status)
						   : WEXITSTATUS(status);
		if (sig > 0 && sig != SIGCHLD)
			kill(child, sig);
	}
}

int guard_run(int (*work)(void *arg), void *arg)
{
	pid_t self = getpid(), child;
	sigset_t set, before;
	int code;

	fill_set(&set);
	fflush(NULL);
	sigprocmask(SIG_BLOCK, &set, &before);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		sigprocmask(SIG_SETMASK, &before, NULL);
		/* We may have died before the kernel was told to tell. */
		_exit(getppid() == self ? cmd_end(work(arg)) : EXIT_FAILED);
	}
	if (child < 0) {
		perror("thaw: fork");
		code = EXIT_FAILED;
	} else {
		code = wait_for(child, &set);
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}
