/* SPDX-License-Identifier: Apache-2.0 */
/*
 * terminal.h - a program that has the whole terminal: another screen, keys without Enter, no echo,
 * no cursor; and everything as it was afterwards.
 */
#pragma once

#include <stdbool.h>
#include <termios.h>

#include "engine/clock.h"
#include "engine/util.h"

struct err;

struct terminal {
	struct termios before;
	bool is_taken;
	int signals; /* signalfd */
};

/* Whether there is one, to be read from and written to. */
bool terminal_is_there(void);

/* How wide standard output is: by itself, else by $COLUMNS; 0: it is no terminal, and has no end. */
unsigned int terminal_columns(void);

/* Remember how it is. terminal_leave is safe afterwards in every case. */
int terminal_init(struct terminal *t, struct err *err) must_check;

/* Take it. SIGINT, SIGQUIT, SIGTERM and SIGHUP are heard by terminal_wait from now on. */
int terminal_take(struct terminal *t, struct err *err) must_check;

/* Give it back. Also from another process than the one that took it. */
void terminal_leave(struct terminal *t);

/* Wait until @until. False: the user has pressed q, or a signal says that it is time to go. */
bool terminal_wait(const struct terminal *t, nsec_t until);

/* Show @text from the first line on, as much of it as there is room for. */
void terminal_show(const char *text);
