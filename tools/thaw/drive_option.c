/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thaw/drive_option.h"

#include <stdlib.h>
#include <string.h>

#define SECOND_MS 1000u
#define NO_OPTION (-1) /* beside exit codes */

struct parse {
	const struct cmd *cmd;
	enum drive_use which;
	struct drive_option *out;
	bool has_mode;
};

/* ---- what may follow the file ---- */

static int take_serial(const struct parse *p, const char *value)
{
	size_t len = strlen(value);
	bool printable = true;

	for (size_t i = 0; i < len; i++)
		printable &= value[i] >= 0x20 && value[i] <= 0x7e;
	if (len == 0 || len > VIRTIO_BLK_ID_BYTES || !printable)
		return cmd_usage(p->cmd, "serial is %zu bytes%s, expected 1 to %u of ASCII",
				 len, printable ? "" : " with others among them",
				 VIRTIO_BLK_ID_BYTES);
	p->out->spec.serial = value;
	return 0;
}

typedef int take_amount(const struct cmd *cmd, const char *name, const char *text,
			uint64_t *amount);

static int take_number(const struct cmd *cmd, const char *name, const char *text,
		       uint64_t *amount)
{
	return opt_number(cmd, name, text, INT64_MAX, amount);
}

static int take_size(const struct cmd *cmd, const char *name, const char *text,
		     uint64_t *amount)
{
	int code = opt_size(cmd, name, text, amount);

	if (code == 0 && *amount > INT64_MAX)
		return cmd_usage(cmd, "%s is '%s', expected less than 2^63", name, text);
	return code;
}

/* AMOUNT[+BURST]; 0: no limit */
static int take_limit(const struct parse *p, const char *name, char *value, take_amount *amount,
		      struct rate_limit *limit)
{
	char *plus = strchr(value, '+');
	int code;

	*limit = (struct rate_limit){ .refill_ms = SECOND_MS };
	if (plus)
		*plus = '\0';
	code = amount(p->cmd, name, value, &limit->size);
	if (code == 0 && plus)
		code = amount(p->cmd, name, plus + 1, &limit->burst);
	if (code == 0 && limit->size == 0 && limit->burst > 0)
		return cmd_usage(p->cmd, "%s is a burst above no limit", name);
	return code;
}

static int take_mode(struct parse *p, const char *text)
{
	static const char *const modes[] = {
		[DRIVE_RO] = "ro", [DRIVE_RW] = "rw", [DRIVE_OVERLAY] = "overlay"
	};

	for (size_t i = 0; i < ARRAY_SIZE(modes) && !p->has_mode; i++) {
		if (strcmp(text, modes[i]) == 0) {
			p->out->spec.mode = (enum drive_mode)i;
			p->has_mode = true;
			return 0;
		}
	}
	return NO_OPTION;
}

/* What follows @name in @text, or NULL. */
static char *value_of(char *text, const char *name)
{
	size_t len = strlen(name);

	return strncmp(text, name, len) == 0 && text[len] == '=' ? text + len + 1 : NULL;
}

static int take(struct parse *p, char *text)
{
	struct drive_option *out = p->out;
	char *bytes = value_of(text, "bytes"), *ops = value_of(text, "ops");
	const char *serial = value_of(text, "serial");

	if (bytes && !out->has_bytes) {
		out->has_bytes = true;
		return take_limit(p, "bytes", bytes, take_size, &out->spec.bytes);
	}
	if (ops && !out->has_ops) {
		out->has_ops = true;
		return take_limit(p, "ops", ops, take_number, &out->spec.ops);
	}
	if (p->which == DRIVE_TO_START)
		return NO_OPTION;
	return serial && !out->spec.serial ? take_serial(p, serial) : take_mode(p, text);
}

/* ---- all of it ---- */

static bool is_id(const char *id, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_-";

	return len > 0 && len < sizeof(((struct manifest_drive *)NULL)->id) &&
	       strspn(id, allowed) >= len;
}

static int cut_options(struct parse *p, char *file)
{
	char *comma;
	int code = 0;

	while (code == 0 && (comma = strrchr(file, ','))) {
		code = take(p, comma + 1);
		if (code == 0)
			*comma = '\0';
	}
	return code == NO_OPTION ? 0 : code;
}

static int say_form(const struct parse *p, const char *value)
{
	return cmd_usage(p->cmd, "--drive is '%s', expected ID=FILE%s[,bytes=SIZE][,ops=N]",
			 value,
			 p->which == DRIVE_TO_BOOT ? "[,ro|,rw|,overlay][,serial=TEXT]" : "");
}

int drive_option_parse(struct drive_option *out, const struct cmd *cmd, const char *value,
		       enum drive_use which)
{
	struct parse p = { .cmd = cmd, .which = which, .out = out };
	const char *eq = strchr(value, '=');
	char *file;
	int code;

	if (!eq || !is_id(value, (size_t)(eq - value)) || eq[1] == '\0')
		return say_form(&p, value);
	out->text = strdup(value);
	if (!out->text)
		return cmd_usage(cmd, "no memory for --drive");
	file = out->text + (eq - value);
	*file++ = '\0';
	out->spec.id = out->text;
	out->spec.path = file;
	code = cut_options(&p, file);
	if (code == 0 && *file == '\0' && which == DRIVE_TO_BOOT)
		return say_form(&p, value);
	return code;
}

void drive_option_free(struct drive_option *d)
{
	free(d->text);
	*d = (struct drive_option){ 0 };
}
