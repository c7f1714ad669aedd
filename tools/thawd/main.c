/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - thawd: told what to do, and begun. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/log.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/daemon.h"
#include "tools/thawd/options.h"

static int usage(void)
{
	printf("usage: thawd %s\n%s\n\n%s", options_cmd.usage, options_cmd.summary,
	       options_cmd.options);
	return EXIT_OK;
}

static int run(struct daemon_config *c)
{
	auto_free char *socket = NULL, *program = realpath("/proc/self/exe", NULL);
	struct err err;
	int ret;

	if (c->nlisten == 0) {
		if (asprintf(&socket, "unix:%s/thawd.sock", c->dir) < 0)
			return EXIT_FAILED;
		c->listen[c->nlisten++] = "127.0.0.1:9001";
		c->listen[c->nlisten++] = socket;
	}
	c->program = program; /* by its name: what is installed there by then is executed */
	ret = daemon_run(c, &err);
	log_flush(STDERR_FILENO);
	return ret < 0 ? options_fail(ret, &err) : EXIT_OK;
}

int main(int argc, char **argv)
{
	struct daemon_config config;
	int code;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_INFO);
	daemon_config_default(&config);
	config.argv = argv;
	code = options_take(&config, argc, argv);
	if (code != EXIT_OK)
		return code;
	return config.wants_help ? usage() : run(&config);
}
