/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - thawd_load: requests to thawd, each reply checked. Prints one line of JSON; status 1
 * if a reply was wrong, lost, or not asked for.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/thawd/load.h"
#include "engine/fds.h"
#include "tools/thaw/cmd.h"

#define PATH_SIZE 160u

static const struct cmd self = {
	.name = "thawd_load",
	.is_program = true,
	.usage = "--to ADDRESS [OPTION]...",
	.options = "  --to ADDRESS       127.0.0.1:9001, [::1]:9001 or unix:/PATH\n"
		   "  --function NAME    invoke it; repeatable: each in turn\n"
		   "  --path PATH        POST there\n"
		   "  --connections N    at once (1)\n"
		   "  --rate N           requests a second; otherwise as fast as they are "
		   "answered\n"
		   "  --seconds S\n"
		   "  --requests N\n"
		   "  --patience S       with a reply (30)\n"
		   "  --verb TEXT        an event's first words\n"
		   "  --size BYTES       of an event, at least (0)\n"
		   "  --expect TEXT      the right reply to each; otherwise the event\n",
};

enum {
	OPT_TO = 1,
	OPT_FUNCTION,
	OPT_PATH,
	OPT_CONNECTIONS,
	OPT_RATE,
	OPT_SECONDS,
	OPT_REQUESTS,
	OPT_PATIENCE,
	OPT_VERB,
	OPT_SIZE,
	OPT_EXPECT,
	OPT_HELP
};

static const struct option options[] = {
	{ "to", required_argument, NULL, OPT_TO },
	{ "function", required_argument, NULL, OPT_FUNCTION },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "requests", required_argument, NULL, OPT_REQUESTS },
	{ "patience", required_argument, NULL, OPT_PATIENCE },
	{ "verb", required_argument, NULL, OPT_VERB },
	{ "size", required_argument, NULL, OPT_SIZE },
	{ "expect", required_argument, NULL, OPT_EXPECT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int usage(void)
{
	printf("usage: %s %s\n\n%s", self.name, self.usage, self.options);
	return EXIT_OK;
}

/* @name between @before and @after. */
static int take_path(struct load_config *c, const char *before, const char *name,
		     const char *after)
{
	static char texts[LOAD_PATHS][PATH_SIZE];

	if (c->npaths == LOAD_PATHS)
		return cmd_usage(&self, "at most %u functions and paths", LOAD_PATHS);
	if ((size_t)snprintf(texts[c->npaths], PATH_SIZE, "%s%s%s", before, name, after) >=
	    PATH_SIZE)
		return cmd_usage(&self, "'%s' is too long", name);
	c->paths[c->npaths] = texts[c->npaths];
	c->npaths++;
	return EXIT_OK;
}

static int take_number(const char *name, uint64_t max, uint64_t unit, uint64_t *to)
{
	int code = opt_number(&self, name, optarg, max, to);

	*to *= unit;
	return code;
}

static int take_connections(struct load_config *c)
{
	uint64_t n;
	int code = take_number("connections", 65536, 1, &n);

	c->connections = (uint32_t)n;
	return code;
}

static int take_option(struct load_config *c, int opt)
{
	switch (opt) {
	case OPT_TO:
		c->address = optarg;
		return EXIT_OK;
	case OPT_FUNCTION:
		return take_path(c, "/2015-03-31/functions/", optarg, "/invocations");
	case OPT_PATH:
		return take_path(c, "", optarg, "");
	case OPT_CONNECTIONS:
		return take_connections(c);
	case OPT_RATE:
		return take_number("rate", 1000000, 1, &c->rate);
	case OPT_SECONDS:
		return take_number("seconds", 1000000, NSEC_PER_SEC, &c->time);
	case OPT_REQUESTS:
		return take_number("requests", 1000000000, 1, &c->requests);
	case OPT_PATIENCE:
		return take_number("patience", 1000000, NSEC_PER_SEC, &c->patience);
	case OPT_VERB:
		c->verb = optarg;
		return EXIT_OK;
	case OPT_SIZE:
		return opt_size(&self, "size", optarg, &c->size);
	case OPT_EXPECT:
		c->expected = optarg;
		return EXIT_OK;
	default:
		return cmd_usage(&self, "unknown option, or one without its value");
	}
}

static int run(const struct load_config *c)
{
	struct tally t = { 0 };
	struct err err;
	nsec_t took;
	int ret = load_run(c, &t, &took, &err), code;

	if (ret < 0) {
		code = cmd_fail(ret, &err);
	} else {
		code = cmd_print_json(stdout, tally_json(&t, took));
		if (code == EXIT_OK && t.wrong + t.lost + t.stray > 0)
			code = EXIT_FAILED;
	}
	tally_free(&t);
	return code;
}

int main(int argc, char **argv)
{
	static struct load_config config = { .connections = 1,
					     .patience = 30 * NSEC_PER_SEC,
					     .verb = "keep" };
	int opt, code = EXIT_OK;

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
	if (!config.address || config.npaths == 0 || config.connections == 0)
		return cmd_usage(&self,
				 "an address, a function or path, and a connection are needed");
	if (!config.time && !config.requests)
		return cmd_usage(&self, "--seconds or --requests is missing");
	fds_raise_limit();
	return run(&config);
}
