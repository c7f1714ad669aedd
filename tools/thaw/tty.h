/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tty.h - the terminal as a guest's serial line: keys go through as they are, and no one echoes them.
 * And everything as it was afterwards, whatever ends us: at a signal the handler puts it right, and
 * where none can run (SIGKILL) a process that watches us does.
 */
#pragma once

#include <stdbool.h>

struct err;

/* Whether standard input is a terminal. */
bool tty_is_there(void);

/* Take it. It forks: call it before there is guest memory, and without other threads. */
int tty_take(struct err *err) __attribute__((warn_unused_result));

/* Give it back; nothing to do if it was not taken. */
void tty_leave(void);
