/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/tty.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"

/* Of the process, as signal handlers are. */
static struct {
	struct termios before, raw;
	pid_t watcher; /* 0: the terminal is not taken */
} tty;

static const int ends[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGABRT, SIGSEGV, SIGBUS };

bool tty_is_there(void)
{
	return isatty(STDIN_FILENO);
}

/* From the background, too: a shell that started us may be gone. */
static int set(const struct termios *to)
{
	sigset_t ttou, before;
	int ret;

	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	pthread_sigmask(SIG_BLOCK, &ttou, &before);
	ret = tcsetattr(STDIN_FILENO, TCSANOW, to);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return ret;
}

/* If nobody else has changed it since. Async-signal-safe. */
static void give_back(void)
{
	struct termios now;

	if (tcgetattr(STDIN_FILENO, &now) == 0 && now.c_lflag == tty.raw.c_lflag &&
	    now.c_iflag == tty.raw.c_iflag)
		set(&tty.before);
}

/* Its action is the default again (SA_RESETHAND). */
static void on_end(int sig)
{
	give_back();
	raise(sig);
}

/* Until somebody says SIGCONT. */
static void on_stop(int sig)
{
	int saved = errno;

	(void)sig;
	give_back();
	raise(SIGSTOP);
	errno = saved;
}

/* In the background this stops us once more (SIGTTOU), until the terminal is ours again. */
static void on_continue(int sig)
{
	int saved = errno;

	(void)sig;
	tcsetattr(STDIN_FILENO, TCSANOW, &tty.raw);
	errno = saved;
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };
	struct sigaction before;

	sigaction(sig, NULL, &before);
	/* nohup(1) stays in force. */
	if (before.sa_handler != SIG_IGN)
		sigaction(sig, &sa, NULL);
}

static void handle_signals(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		handle(ends[i], on_end, (int)(SA_RESETHAND | SA_NODEFER));
	handle(SIGTSTP, on_stop, SA_RESTART);
	handle(SIGCONT, on_continue, SA_RESTART);
}

static _Noreturn void watch(int us)
{
	struct pollfd end = { .fd = us, .events = POLLIN };
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		continue;
	give_back();
	_exit(0);
}

static int start_watcher(struct err *err)
{
	auto_close int us = pidfd_open(getpid(), 0);
	pid_t child;

	if (us < 0)
		return err_sys(err, "pidfd_open");
	child = fork();
	if (child == 0)
		watch(us);
	if (child < 0)
		return err_sys(err, "fork a process that looks after the terminal");
	/* Before there is anything to give back: whoever kills our process group does not kill it. */
	setpgid(child, child);
	tty.watcher = child;
	return 0;
}

/* What a guest prints has its carriage returns, but our own messages have none: output stays as
 * it is. */
static struct termios make_raw(const struct termios *before)
{
	struct termios raw = *before;

	cfmakeraw(&raw);
	raw.c_oflag = before->c_oflag;
	return raw;
}

int tty_take(struct err *err)
{
	int ret;

	if (tcgetattr(STDIN_FILENO, &tty.before) < 0)
		return err_sys(err, "the terminal");
	tty.raw = make_raw(&tty.before);
	ret = start_watcher(err);
	if (ret < 0)
		return ret;
	handle_signals();
	/* Not from the background: there it stops us until the terminal is ours. */
	if (tcsetattr(STDIN_FILENO, TCSANOW, &tty.raw) < 0) {
		ret = err_sys(err, "the terminal");
		tty_leave();
	}
	return ret;
}

void tty_leave(void)
{
	if (tty.watcher == 0)
		return;
	give_back();
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		handle(ends[i], SIG_DFL, 0);
	handle(SIGTSTP, SIG_DFL, 0);
	handle(SIGCONT, SIG_DFL, 0);
	kill(tty.watcher, SIGKILL);
	waitpid(tty.watcher, NULL, 0);
	tty.watcher = 0;
}
