/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "engine/err.h"

#define USUAL_ROWS    24 /* a VT100's */
#define USUAL_COLUMNS 80

/* As of xterm, which all others follow here: alternate screen, cursor. */
#define SCREEN_TAKE  "\033[?1049h\033[?25l"
#define SCREEN_LEAVE "\033[?25h\033[?1049l"
/* ECMA-48: to the first column of the first line; erase what follows in the line, on the screen. */
#define SCREEN_HOME	 "\033[H"
#define SCREEN_LINE_END	 "\033[K"
#define SCREEN_ERASE_END "\033[J"

bool terminal_is_there(void)
{
	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

int terminal_init(struct terminal *t, struct err *err)
{
	*t = (struct terminal){ .signals = -1 };
	return tcgetattr(STDIN_FILENO, &t->before) < 0 ? err_sys(err, "the terminal") : 0;
}

static int watch_signals(struct terminal *t, struct err *err)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGQUIT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signals < 0 ? err_sys(err, "signalfd") : 0;
}

int terminal_take(struct terminal *t, struct err *err)
{
	struct termios raw = t->before;
	int ret = watch_signals(t, err);

	if (ret < 0)
		return ret;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	/* Nobody would give the terminal back before we stand still. */
	raw.c_cc[VSUSP] = _POSIX_VDISABLE;
	t->is_taken = true;
	if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
		return err_sys(err, "the terminal");
	fputs(SCREEN_TAKE, stdout);
	fflush(stdout);
	return 0;
}

void terminal_leave(struct terminal *t)
{
	if (!t->is_taken)
		return;
	t->is_taken = false;
	/* A shell whose child has been killed has the terminal already. */
	signal(SIGTTOU, SIG_IGN);
	tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	fputs(SCREEN_LEAVE, stdout);
	fflush(stdout);
	fd_cleanup(&t->signals);
}

static bool wants_to_go(void)
{
	char key;

	return read(STDIN_FILENO, &key, 1) != 1 || key == 'q';
}

bool terminal_wait(const struct terminal *t, nsec_t until)
{
	struct pollfd fds[2] = { { STDIN_FILENO, POLLIN, 0 }, { t->signals, POLLIN, 0 } };

	for (;;) {
		nsec_t now = clock_monotonic();
		int n;

		if (now >= until)
			return true;
		n = poll(fds, ARRAY_SIZE(fds),
			 (int)((until - now + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC));
		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0 && (fds[1].revents || wants_to_go()))
			return false;
	}
}

/* Some do not say. */
static struct winsize find_size(void)
{
	struct winsize size = { 0 };
	const char *columns = getenv("COLUMNS");
	unsigned long n = columns ? strtoul(columns, NULL, 10) : 0;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		return size;
	return (struct winsize){ .ws_row = USUAL_ROWS,
				 .ws_col = n > 0 && n <= UINT16_MAX ? (unsigned short)n
								    : USUAL_COLUMNS };
}

unsigned int terminal_columns(void)
{
	return isatty(STDOUT_FILENO) ? find_size().ws_col : 0;
}

/* Bytes of the first @columns letters, in UTF-8, of the @len at @text. */
static int cut(const char *text, int len, int columns)
{
	int i;

	for (i = 0; i < len; i++) {
		bool begins = ((unsigned char)text[i] & 0xc0) != 0x80;

		if (begins && columns-- == 0)
			break;
	}
	return i;
}

void terminal_show(const char *text)
{
	const struct winsize size = find_size();

	fputs(SCREEN_HOME, stdout);
	/* The last line stays empty: its end would scroll. */
	for (int row = 1; row < size.ws_row && *text; row++) {
		int len = (int)strcspn(text, "\n");

		printf("%.*s" SCREEN_LINE_END "\n", cut(text, len, size.ws_col), text);
		text += len;
		text += *text == '\n';
	}
	fputs(SCREEN_ERASE_END, stdout);
	fflush(stdout);
}
