/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - find the subcommand, and say what there is. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/log.h"
#include "tools/thaw/cmd.h"

const struct cmd *const cmds[] = {
	&cmd_build, &cmd_run,	  &cmd_boot,   &cmd_snapshot, &cmd_flatten,
	&cmd_drive, &cmd_inspect, &cmd_verify, &cmd_bench,    &cmd_fn,
	&cmd_top,   &cmd_version, &cmd_help,   &cmd_layout,   NULL,
};

static const struct cmd *cmd_find(const char *name)
{
	for (const struct cmd *const *c = cmds; *c; c++) {
		if (strcmp((*c)->name, name) == 0)
			return *c;
	}
	return NULL;
}

static void print_overview(FILE *to)
{
	fprintf(to, "usage: thaw COMMAND [OPTION]... [ARG]...\n\n"
		    "Start virtual machines by restoring them.\n\n");
	for (const struct cmd *const *c = cmds; *c; c++) {
		if ((*c)->summary)
			fprintf(to, "  %-8s %s\n", (*c)->name, (*c)->summary);
	}
	fprintf(to, "\n`thaw help COMMAND` shows its options, `man thaw` the rest.\n");
}

static int run_help(int argc, char **argv)
{
	const struct cmd *c;

	if (argc > 2)
		return cmd_usage(&cmd_help, "one command at a time");
	if (argc < 2) {
		print_overview(stdout);
		return EXIT_OK;
	}
	c = cmd_find(argv[1]);
	if (!c)
		return cmd_usage(&cmd_help, "no command is called '%s'", argv[1]);
	printf("usage: thaw %s %s\n%s\n", c->name, c->usage, c->summary ? c->summary : "");
	if (c->options)
		printf("\n%s", c->options);
	return EXIT_OK;
}

const struct cmd cmd_help = {
	.name = "help",
	.run = run_help,
	.usage = "[COMMAND]",
	.summary = "show the commands, or the options of one",
};

static void set_log_level(void)
{
	const char *want = getenv("THAW_LOG");

	for (int i = LOG_ERROR; want && i < LOG_LEVELS; i++) {
		if (strcmp(want, log_levels[i]) == 0)
			log_set_level((enum log_level)i);
	}
}

/*
 * Whoever started us without some of the three would have files of ours take their places, and
 * output go into them. What is put there cannot be used either, so that using it is an error.
 */
static void open_standard_files(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

int main(int argc, char **argv)
{
	const struct cmd *c;
	const char *name;

	open_standard_files();
	signal(SIGPIPE, SIG_IGN); /* a reader that has gone is an error of write(2) */
	if (argc < 2) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	name = argv[1];
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0)
		name = "version";
	c = cmd_find(name);
	if (!c) {
		fprintf(stderr, "thaw: no command is called '%s'; try 'thaw help'\n", name);
		return EXIT_USAGE;
	}
	set_log_level();
	return cmd_end(c->run(argc - 1, argv + 1));
}
