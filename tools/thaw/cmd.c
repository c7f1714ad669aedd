/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/cmd.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/log.h"
#include "tools/thaw/blob.h"

int exit_code(int ret)
{
	switch (-ret) {
	case ERR_NO_KVM:
		return EXIT_NO_KVM;
	case ERR_DAMAGED:
		return EXIT_DAMAGED;
	case ERR_CRASHED:
		return EXIT_CRASHED;
	case ERR_TIMED_OUT:
		return EXIT_TIMED_OUT;
	default:
		return EXIT_FAILED;
	}
}

int cmd_fail(int ret, const struct err *err)
{
	fprintf(stderr, "thaw: %s\n", err->text);
	return exit_code(ret);
}

int cmd_usage(const struct cmd *cmd, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s%s: ", cmd->is_program ? "" : "thaw ", cmd->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	if (cmd->is_program)
		fprintf(stderr, "; try '%s --help'\n", cmd->name);
	else
		fprintf(stderr, "; try 'thaw help %s'\n", cmd->name);
	return EXIT_USAGE;
}

int cmd_print_json(FILE *to, json_t *doc)
{
	if (!doc) {
		fprintf(stderr, "thaw: a name is not UTF-8, and JSON has no other text\n");
		return EXIT_FAILED;
	}
	json_dumpf(doc, to, JSON_COMPACT | JSON_REAL_PRECISION(10));
	putc('\n', to);
	json_decref(doc);
	return EXIT_OK;
}

json_t *cmd_json_text(const char *text)
{
	json_t *s = json_string(text);
	char *copy = s ? NULL : strdup(text);

	if (s || !copy)
		return s;
	for (char *at = copy; *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	s = json_string(copy);
	free(copy);
	return s;
}

int cmd_end(int code)
{
	log_flush(STDERR_FILENO);
	if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_OK) {
		perror("thaw: write to stdout");
		code = EXIT_FAILED;
	}
	return code;
}

/* A decimal number at the start of @text; *end is what follows. -1: none there, or too big. */
static int parse_number(const char *text, uint64_t *value, char **end)
{
	errno = 0;
	*value = strtoull(text, end, 10);
	return *end == text || text[0] < '0' || text[0] > '9' || errno ? -1 : 0;
}

int opt_number(const struct cmd *cmd, const char *name, const char *text, uint64_t max,
	       uint64_t *value)
{
	char *end;

	if (parse_number(text, value, &end) < 0 || *end != '\0' || *value > max)
		return cmd_usage(cmd, "%s is '%s', expected a number up to %llu", name, text,
				 (unsigned long long)max);
	return 0;
}

int opt_size(const struct cmd *cmd, const char *name, const char *text, uint64_t *bytes)
{
	static const char units[] = "KMG";
	const char *unit;
	unsigned int shift = 0;
	char *end;

	if (parse_number(text, bytes, &end) == 0) {
		unit = *end != '\0' ? strchr(units, *end) : NULL;
		if (unit) {
			shift = 10 * (unsigned int)(unit - units + 1);
			end++;
		}
		if (*end == '\0' && *bytes <= UINT64_MAX >> shift) {
			*bytes <<= shift;
			return 0;
		}
	}
	return cmd_usage(cmd, "%s is '%s', expected a size such as 64M", name, text);
}

int opt_payload(struct blob *event, const char *text)
{
	struct err err = { 0 };
	int ret = blob_set_text(event, text, &err);

	return ret < 0 ? cmd_fail(ret, &err) : 0;
}
