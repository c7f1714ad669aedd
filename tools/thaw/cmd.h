/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cmd.h - the subcommands of `thaw`, and what they share: exit codes, errors to the user,
 * option values.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "engine/clock.h"
#include "engine/err.h"
#include "snapshot/thaw.h"

/* Exit codes, as in thaw(1). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1, /* also an intact image that this host or version cannot run */
	EXIT_USAGE = 2,
	EXIT_NO_KVM = 3,
	EXIT_DAMAGED = 4,
	EXIT_CRASHED = 5,
	EXIT_TIMED_OUT = 6,
};

struct cmd {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the subcommand; returns an exit code */
	const char *usage;		   /* what follows the name */
	const char *summary;		   /* a line; NULL: not listed by help */
	const char *options;		   /* a line each; NULL: none */
	bool is_program;		   /* of its own, not a subcommand */
};

extern const struct cmd cmd_build, cmd_boot, cmd_run, cmd_inspect, cmd_verify, cmd_version,
	cmd_help, cmd_layout, cmd_bench, cmd_snapshot, cmd_flatten, cmd_drive, cmd_fn, cmd_top;
extern const struct cmd *const cmds[]; /* NULL at the end */

/* The exit code for a negative result of the library. */
int exit_code(int ret);

/* The library's sentence as ours: one struct by two names (snapshot/handles.c asserts it). */
static inline struct err *cmd_err(struct thaw_err *err)
{
	return (struct err *)(void *)err;
}

/* And the other way round. */
static inline struct thaw_err *cmd_thaw_err(struct err *err)
{
	return (struct thaw_err *)(void *)err;
}

/* Print "thaw: text" on stderr and return exit_code(@ret). */
int cmd_fail(int ret, const struct err *err);

/* Print "thaw CMD: text", or "PROGRAM: text", and how to get help. Returns EXIT_USAGE. */
int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Print @doc as one line on @to and give it back. NULL: it could not be made, because a name is
 * not UTF-8. Returns an exit code. */
struct json_t; /* jansson's */
int cmd_print_json(FILE *to, struct json_t *doc);

/* A JSON string of any bytes: where they are no UTF-8, those above 127 become "?". NULL: no memory. */
struct json_t *cmd_json_text(const char *text);

/* A process's last words: what is not written yet. Returns @code, or what became of it. */
int cmd_end(int code);

/* Option values. Each returns 0, or EXIT_USAGE after saying what is wrong. */
int opt_size(const struct cmd *cmd, const char *name, const char *text, uint64_t *bytes);
int opt_number(const struct cmd *cmd, const char *name, const char *text, uint64_t max,
	       uint64_t *value);

/* The event as text. Returns 0, or EXIT_FAILED after saying that there is no memory. */
struct blob;
int opt_payload(struct blob *event, const char *text);
