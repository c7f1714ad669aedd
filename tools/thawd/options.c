/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "tools/thaw/blob.h"
#include "tools/thaw/cmd.h"
#include "tools/thawd/daemon.h"

#define CONFIG_MAX (64u << 10) /* bytes of a file; ours */

const struct cmd options_cmd = {
	.name = "thawd",
	.is_program = true,
	.usage = "--dir DIR [OPTION]...",
	.summary = "keep functions, and answer invocations of them",
	.options =
		"  --dir DIR          functions, their images, events and logs\n"
		"  --config FILE      lines NAME = VALUE, with the names of these options\n"
		"  --listen ADDRESS   127.0.0.1:9001, [::1]:9001 or unix:/PATH; repeatable\n"
		"                     (127.0.0.1:9001 and unix:DIR/thawd.sock)\n"
		"  --auth sigv4:FILE  who comes by TCP signs with a key of FILE\n"
		"  --tls CERTIFICATE,KEY,TRUST  TCP is TLS, clients have a certificate\n"
		"  --no-cells         do without a cell for each machine (else: root)\n"
		"  --memory SIZE      for machines (seven eighths of what is available)\n"
		"  --slots N          machines at once (1000)\n"
		"  --running N        invocations at work at once (one more than processors)\n"
		"  --ahead N          machines started ahead of a function's need (2)\n"
		"  --drain MS         for what is under way, when told to stop (30000)\n"
		"  --log-format FORMAT  of lines on stderr: text, or json, an object each "
		"(text)\n",
};

enum {
	OPT_DIR = 1,
	OPT_CONFIG,
	OPT_LISTEN,
	OPT_AUTH,
	OPT_TLS,
	OPT_NO_CELLS,
	OPT_MEMORY,
	OPT_SLOTS,
	OPT_RUNNING,
	OPT_AHEAD,
	OPT_DRAIN,
	OPT_LOG_FORMAT,
	OPT_HELP,
};

static const struct option options[] = {
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "auth", required_argument, NULL, OPT_AUTH },
	{ "tls", required_argument, NULL, OPT_TLS },
	{ "no-cells", no_argument, NULL, OPT_NO_CELLS },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "slots", required_argument, NULL, OPT_SLOTS },
	{ "running", required_argument, NULL, OPT_RUNNING },
	{ "ahead", required_argument, NULL, OPT_AHEAD },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ 0 },
};

static int take_number(const char *name, uint32_t max, uint32_t *to)
{
	uint64_t value;
	int code = opt_number(&options_cmd, name, optarg, max, &value);

	*to = (uint32_t)value;
	return code;
}

static int take_listen(struct daemon_config *c)
{
	if (c->nlisten == DOORS_MAX)
		return cmd_usage(&options_cmd, "--listen: at most %u addresses", DOORS_MAX);
	c->listen[c->nlisten++] = optarg;
	return EXIT_OK;
}

static int take_auth(struct daemon_config *c)
{
	static const char scheme[] = "sigv4:";

	if (strncmp(optarg, scheme, strlen(scheme)) != 0)
		return cmd_usage(&options_cmd, "--auth '%s': expected sigv4:FILE", optarg);
	c->keys = optarg + strlen(scheme);
	return EXIT_OK;
}

static int take_tls(struct daemon_config *c)
{
	char *rest = optarg;

	for (size_t i = 0; i < ARRAY_SIZE(c->tls); i++) {
		c->tls[i] = strsep(&rest, ",");
		if (!c->tls[i] || !*c->tls[i])
			return cmd_usage(&options_cmd, "--tls: expected CERTIFICATE,KEY,TRUST");
	}
	return rest ? cmd_usage(&options_cmd, "--tls: expected three files") : EXIT_OK;
}

static int take_log_format(struct daemon_config *c)
{
	c->logs_json = strcmp(optarg, "json") == 0;
	if (!c->logs_json && strcmp(optarg, "text") != 0)
		return cmd_usage(&options_cmd, "--log-format '%s': expected text or json",
				 optarg);
	return EXIT_OK;
}

int options_fail(int ret, const struct err *err)
{
	fprintf(stderr, "%s: %s\n", options_cmd.name, err->text);
	return exit_code(ret);
}

static int take_option(struct daemon_config *c, int opt);

static char *trim(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = '\0';
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static const struct option *find_option(const char *name)
{
	for (const struct option *o = options; o->name; o++) {
		if (strcmp(o->name, name) == 0 && o->val != OPT_CONFIG && o->val != OPT_HELP)
			return o;
	}
	return NULL;
}

/* "NAME = VALUE", or "NAME" alone where the option has no value. */
static int take_line(struct daemon_config *c, const char *file, unsigned int number, char *line)
{
	char *value = line, *name = trim(strsep(&value, "="));
	const struct option *o = find_option(name);

	if (!o)
		return cmd_usage(&options_cmd, "%s:%u: no option is called '%s'", file, number,
				 name);
	if ((o->has_arg == required_argument) != (value != NULL))
		return cmd_usage(&options_cmd, "%s:%u: %s %s", file, number, name,
				 value ? "takes no value" : "has no value");
	optarg = value ? trim(value) : NULL;
	return take_option(c, o->val);
}

/* What the values point to stays as long as the process. */
static int take_config(struct daemon_config *c, const char *path)
{
	struct blob text = { 0 };
	struct err err;
	char *rest, *line;
	int code = EXIT_OK, ret = blob_read(&text, path, CONFIG_MAX, &err);

	if (ret < 0)
		return options_fail(ret, &err);
	rest = strndup(text.data ? (const char *)text.data : "", text.size);
	blob_free(&text);
	if (!rest)
		return options_fail(-ENOMEM, &(struct err){ "no memory for a configuration" });
	for (unsigned int n = 1; code == EXIT_OK && (line = strsep(&rest, "\n")); n++) {
		line = trim(line);
		if (*line != '\0' && *line != '#')
			code = take_line(c, path, n, line);
	}
	return code;
}

static int take_option(struct daemon_config *c, int opt)
{
	switch (opt) {
	case OPT_DIR:
		c->dir = optarg;
		return EXIT_OK;
	case OPT_CONFIG:
		return take_config(c, optarg);
	case OPT_LISTEN:
		return take_listen(c);
	case OPT_AUTH:
		return take_auth(c);
	case OPT_TLS:
		return take_tls(c);
	case OPT_NO_CELLS:
		c->cells.count = 0;
		return EXIT_OK;
	case OPT_MEMORY:
		return opt_size(&options_cmd, "--memory", optarg, &c->memory);
	case OPT_SLOTS:
		return take_number("--slots", 65536, &c->slots);
	case OPT_RUNNING:
		return take_number("--running", UINT32_MAX, &c->running);
	case OPT_AHEAD:
		return take_number("--ahead", 65536, &c->ahead);
	case OPT_HELP:
		c->wants_help = true;
		return EXIT_OK;
	case OPT_DRAIN:
		return take_number("--drain", UINT32_MAX, &c->drain_ms);
	case OPT_LOG_FORMAT:
		return take_log_format(c);
	default:
		return cmd_usage(&options_cmd, "unknown option, or one without its value");
	}
}

int options_take(struct daemon_config *c, int argc, char **argv)
{
	int opt, code = EXIT_OK;

	opterr = 0;
	while (code == EXIT_OK && (opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		code = take_option(c, opt);
	if (code != EXIT_OK || c->wants_help)
		return code;
	if (optind < argc)
		return cmd_usage(&options_cmd, "unexpected '%s'", argv[optind]);
	if (!c->dir)
		return cmd_usage(&options_cmd, "--dir is missing");
	return EXIT_OK;
}
