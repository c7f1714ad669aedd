/* SPDX-License-Identifier: Apache-2.0 */
/* options.h - what thawd is told on its command line and in its configuration file. */
#pragma once

#include <stdbool.h>

#include "engine/util.h"

struct cmd;
struct daemon_config;
struct err;

extern const struct cmd options_cmd; /* for usage texts */

/* Print "thawd: text" and return exit_code(@ret). */
int options_fail(int ret, const struct err *err);

/* Later ones count, where an option is not repeatable. Returns an exit code, after saying what is
 * wrong. */
int options_take(struct daemon_config *c, int argc, char **argv) must_check;
