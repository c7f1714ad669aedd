/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include "engine/err.h"
#include "tools/thaw/tty.h"

#define LIMIT_MS 20000

/*
 * A terminal with a session on it, as a shell's, and in the session one program that takes the
 * terminal. Nobody reads from the terminal but us.
 */
struct place {
	int terminal;  /* the outer end */
	pid_t session; /* lives until it is killed: with its leader a terminal goes, too */
	pid_t program;
	struct termios before;
};

enum end { PROGRAM_LEAVES, PROGRAM_EXITS, PROGRAM_ABORTS, PROGRAM_FAULTS };

/* Ends at the first key. */
static void program(enum end how)
{
	volatile char *nowhere = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char key;

	signal(SIGHUP, SIG_DFL);
	if (tty_take(NULL) < 0 || read(STDIN_FILENO, &key, 1) != 1)
		_exit(1);
	switch (how) {
	case PROGRAM_LEAVES:
		tty_leave();
		break;
	case PROGRAM_EXITS:
		_exit(0);
	case PROGRAM_ABORTS:
		abort();
	case PROGRAM_FAULTS:
		*nowhere = 1;
		break;
	}
	for (;;)
		pause();
}

/* The leader tells the program's pid, and reaps all that comes of it. */
static void session(int tell, enum end how)
{
	pid_t child;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGTTOU, SIG_IGN);
	child = fork();
	if (child == 0) {
		setpgid(0, 0);
		tcsetpgrp(STDIN_FILENO, getpid());
		signal(SIGTTOU, SIG_DFL);
		program(how);
	}
	if (write(tell, &child, sizeof(child)) != sizeof(child))
		_exit(1);
	for (;;) {
		if (wait(NULL) < 0)
			pause();
	}
}

static struct place place_new(enum end how)
{
	struct place p = { 0 };
	int tells[2], terminal;

	cr_assert(eq(int, pipe2(tells, O_CLOEXEC), 0));
	cr_assert(eq(int, openpty(&p.terminal, &terminal, NULL, NULL, NULL), 0));
	cr_assert(eq(int, tcgetattr(p.terminal, &p.before), 0));
	p.session = fork();
	if (p.session == 0) {
		close(p.terminal);
		if (login_tty(terminal) == 0)
			session(tells[1], how);
		_exit(1);
	}
	close(tells[1]);
	cr_assert(eq(sz, (size_t)read(tells[0], &p.program, sizeof(p.program)),
		     sizeof(p.program)));
	close(tells[0]);
	close(terminal);
	return p;
}

static void place_free(struct place *p)
{
	kill(p->program, SIGKILL);
	kill(p->session, SIGKILL);
	waitpid(p->session, NULL, 0);
	close(p->terminal);
}

static bool is_raw(const struct place *p)
{
	struct termios now;

	cr_assert(eq(int, tcgetattr(p->terminal, &now), 0));
	return !(now.c_lflag & (ICANON | ECHO | ISIG));
}

static void wait_until(const struct place *p, bool raw, const char *why)
{
	for (int i = 0; i < LIMIT_MS && is_raw(p) != raw; i++)
		usleep(1000);
	cr_assert(eq(int, is_raw(p), raw), "%s", why);
}

static void expect_as_before(const struct place *p, const char *why)
{
	struct termios now;

	wait_until(p, false, why);
	cr_assert(eq(int, tcgetattr(p->terminal, &now), 0));
	cr_expect(eq(u32, now.c_lflag, p->before.c_lflag), "%s", why);
	cr_expect(eq(u32, now.c_iflag, p->before.c_iflag), "%s", why);
	cr_expect(eq(u32, now.c_oflag, p->before.c_oflag), "%s", why);
}

Test(tty, a_terminal_is_given_back_whatever_ends_the_program)
{
	static const enum end ends[] = { PROGRAM_LEAVES, PROGRAM_EXITS, PROGRAM_ABORTS,
					 PROGRAM_FAULTS };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct place p = place_new(ends[i]);

		wait_until(&p, true, "taken");
		cr_assert(eq(sz, (size_t)write(p.terminal, "k", 1), 1));
		expect_as_before(&p, "given back");
		place_free(&p);
	}
}

Test(tty, a_terminal_is_given_back_whoever_kills_the_program)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP,	 SIGQUIT, SIGABRT,
				       SIGSEGV, SIGBUS, SIGKILL, SIGUSR1, SIGPIPE };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct place p = place_new(PROGRAM_LEAVES);

		wait_until(&p, true, strsignal(signals[i]));
		/* With all of its process group. */
		cr_expect(eq(int, kill(-p.program, signals[i]), 0));
		expect_as_before(&p, strsignal(signals[i]));
		place_free(&p);
	}
}

Test(tty, a_program_that_stands_still_has_no_terminal)
{
	struct place p = place_new(PROGRAM_LEAVES);

	wait_until(&p, true, "taken");
	kill(p.program, SIGTSTP);
	expect_as_before(&p, "stopped");
	kill(p.program, SIGCONT);
	wait_until(&p, true, "taken again");
	kill(p.program, SIGTERM);
	expect_as_before(&p, "ended");
	place_free(&p);
}

Test(tty, what_somebody_else_has_set_since_is_left_alone)
{
	struct place p = place_new(PROGRAM_LEAVES);
	struct termios other = p.before, now;

	wait_until(&p, true, "taken");
	other.c_lflag &= ~(tcflag_t)ECHO;
	cr_assert(eq(int, tcsetattr(p.terminal, TCSANOW, &other), 0));
	kill(p.program, SIGTERM);
	usleep(200000);
	cr_assert(eq(int, tcgetattr(p.terminal, &now), 0));
	cr_expect(eq(u32, now.c_lflag, other.c_lflag));
	place_free(&p);
}

Test(tty, what_is_no_terminal_is_not_taken)
{
	struct err err = { 0 };
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert(eq(int, dup2(fd, STDIN_FILENO), STDIN_FILENO));
	cr_expect(not(tty_is_there()));
	cr_expect(lt(int, tty_take(&err), 0));
	cr_expect(ne(ptr, strstr(err.text, "the terminal"), NULL));
	tty_leave();
	close(fd);
}
