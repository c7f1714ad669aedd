/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - thawd: what is asked for on the command line. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/log.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/daemon.h"

static const struct cmd self = {
	.name = "thawd",
	.is_program = true,
	.usage = "--dir DIR [OPTION]...",
	.summary = "keep functions, and answer invocations of them",
	.options = "  --dir DIR          functions, their images, events and logs\n"
		   "  --listen ADDRESS   127.0.0.1:9001, [::1]:9001 or unix:/PATH; repeatable\n"
		   "                     (127.0.0.1:9001 and unix:DIR/thawd.sock)\n"
		   "  --memory SIZE      for machines (seven eighths of what is available)\n"
		   "  --slots N          machines at once (1000)\n"
		   "  --running N        invocations at once (as many as there are slots)\n"
		   "  --ahead N          machines started ahead of a function's need (2)\n"
		   "  --drain MS         for what is under way, when told to stop (30000)\n",
};

enum {
	OPT_DIR = 1,
	OPT_LISTEN,
	OPT_MEMORY,
	OPT_SLOTS,
	OPT_RUNNING,
	OPT_AHEAD,
	OPT_DRAIN,
	OPT_HELP
};

static const struct option options[] = {
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "running", required_argument, NULL, OPT_RUNNING },
	{ "ahead", required_argument, NULL, OPT_AHEAD },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int usage(void)
{
	printf("usage: thawd %s\n%s\n\n%s", self.usage, self.summary, self.options);
	return EXIT_OK;
}

static int take_number(const char *name, uint32_t max, uint32_t *to)
{
	uint64_t value;
	int code = opt_number(&self, name, optarg, max, &value);

	*to = (uint32_t)value;
	return code;
}

static int take_listen(struct daemon_config *c)
{
	if (c->nlisten == DAEMON_DOORS)
		return cmd_usage(&self, "--listen: at most %u addresses", DAEMON_DOORS);
	c->listen[c->nlisten++] = optarg;
	return EXIT_OK;
}

static int take_option(struct daemon_config *c, int opt)
{
	switch (opt) {
	case OPT_DIR:
		c->dir = optarg;
		return EXIT_OK;
	case OPT_LISTEN:
		return take_listen(c);
	case OPT_MEMORY:
		return opt_size(&self, "memory", optarg, &c->memory);
	case OPT_SLOTS:
		return take_number("slots", 65536, &c->slots);
	case OPT_RUNNING:
		return take_number("running", UINT32_MAX, &c->running);
	case OPT_AHEAD:
		return take_number("ahead", 65536, &c->ahead);
	case OPT_DRAIN:
		return take_number("drain", UINT32_MAX, &c->drain_ms);
	default:
		return cmd_usage(&self, "unknown option, or one without its value");
	}
}

static int run(struct daemon_config *c)
{
	auto_free char *socket = NULL;
	struct err err;
	int ret;

	if (c->nlisten == 0) {
		if (asprintf(&socket, "unix:%s/thawd.sock", c->dir) < 0)
			return EXIT_FAILED;
		c->listen[c->nlisten++] = "127.0.0.1:9001";
		c->listen[c->nlisten++] = socket;
	}
	ret = daemon_run(c, &err);
	log_flush(STDERR_FILENO);
	if (ret == 0)
		return EXIT_OK;
	fprintf(stderr, "thawd: %s\n", err.text);
	return exit_code(ret);
}

int main(int argc, char **argv)
{
	struct daemon_config config;
	int opt, code = EXIT_OK;

	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_INFO);
	daemon_config_default(&config);
	opterr = 0;
	while (code == EXIT_OK && (opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_HELP)
			return usage();
		code = take_option(&config, opt);
	}
	if (code != EXIT_OK)
		return code;
	if (optind < argc)
		return cmd_usage(&self, "unexpected '%s'", argv[optind]);
	if (!config.dir)
		return cmd_usage(&self, "--dir is missing");
	return run(&config);
}
