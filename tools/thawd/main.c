/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - thawd: told what to do, and begun. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOG "thawd"
#include "engine/log.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/daemon.h"
#include "tools/thawd/log_json.h"
#include "tools/thawd/options.h"

static int usage(void)
{
	printf("usage: thawd %s\n%s\n\n%s", options_cmd.usage, options_cmd.summary,
	       options_cmd.options);
	return EXIT_OK;
}

/* The last line is of the same form as the others. */
static int end(const struct daemon_config *c, int ret, const struct err *err)
{
	if (ret < 0 && c->logs_json)
		log_line(LOG_ERROR, LOG, NULL, "%s", err->text);
	log_flush(STDERR_FILENO);
	if (ret >= 0)
		return EXIT_OK;
	return c->logs_json ? exit_code(ret) : options_fail(ret, err);
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
	if (c->logs_json)
		log_set_format(log_json);
	c->program = program; /* by its name: what is installed there by then is executed */
	ret = daemon_run(c, &err);
	return end(c, ret, &err);
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
