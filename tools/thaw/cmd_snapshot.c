/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_snapshot.c - `thaw snapshot`: have a machine that listens write a layer of what it is now. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "tools/thaw/cmd.h"
#include "tools/thaw/wire.h"

enum { OPT_NO_SYNC = 256, OPT_JSON };

static const struct option options[] = {
	{ "output", required_argument, NULL, 'o' },
	{ "no-sync", no_argument, NULL, OPT_NO_SYNC },
	{ "json", no_argument, NULL, OPT_JSON },
	{ 0 },
};

/* The other process has a working directory of its own. Returns the length. */
static int absolute_path(const char *path, char out[PATH_MAX], struct err *err)
{
	size_t at = 0, n;

	if (path[0] != '/') {
		if (!getcwd(out, PATH_MAX))
			return err_sys(err, "the working directory");
		at = strlen(out);
		out[at++] = '/';
	}
	n = strlen(path);
	if (n >= PATH_MAX - at)
		return err_set(err, ENAMETOOLONG, "%.60s...: path of %zu bytes", path, at + n);
	memcpy(out + at, path, n + 1);
	return (int)(at + n);
}

static int ask(const char *socket, const char *dir, uint16_t flags, struct blob *reply,
	       struct err *err)
{
	static char path[PATH_MAX];
	struct wire_header h = { .kind = WIRE_SNAPSHOT, .flags = flags };
	auto_close int fd = -1;
	int len = absolute_path(dir, path, err);

	if (len < 0)
		return len;
	fd = wire_connect(socket, err);
	if (fd < 0)
		return fd;
	h.len = (uint32_t)len;
	return wire_call(fd, &h, path, reply, err);
}

static int print_text(const char *dir, const char *json)
{
	json_t *doc = json_loads(json, 0, NULL);
	const char *names[] = { "pages_stored", "pages_copied", "size_bytes" };
	long long n[ARRAY_SIZE(names)];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		n[i] = json_integer_value(json_object_get(doc, names[i]));
	printf("%s: %lld pages differ of %lld that were looked at, %lld KiB; the machine stood "
	       "still for %.0f us\n",
	       dir, n[0], n[1], (n[2] + 1023) / 1024,
	       json_number_value(json_object_get(doc, "pause_us")));
	json_decref(doc);
	return EXIT_OK;
}

static int snapshot(const char *socket, const char *dir, uint16_t flags, bool as_json)
{
	struct blob reply = { 0 };
	struct err err = { 0 };
	int code = ask(socket, dir, flags, &reply, &err);

	if (code < 0)
		code = cmd_fail(code, &err);
	else if (code != EXIT_OK)
		fprintf(stderr, "thaw: %s\n", reply.data);
	else if (as_json)
		puts((const char *)reply.data);
	else
		code = print_text(dir, (const char *)reply.data);
	blob_free(&reply);
	return code;
}

static int run_snapshot(int argc, char **argv)
{
	const char *dir = NULL;
	bool as_json = false;
	uint16_t flags = 0;
	int opt;

	while ((opt = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
		switch (opt) {
		case 'o':
			dir = optarg;
			break;
		case OPT_NO_SYNC:
			flags = WIRE_NO_SYNC;
			break;
		case OPT_JSON:
			as_json = true;
			break;
		default:
			return cmd_usage(&cmd_snapshot, "unknown option");
		}
	}
	if (!dir)
		return cmd_usage(&cmd_snapshot, "expected -o DIR");
	if (optind != argc - 1)
		return cmd_usage(&cmd_snapshot, "expected one socket, got %d", argc - optind);
	return snapshot(argv[optind], dir, flags, as_json);
}

const struct cmd cmd_snapshot = {
	.name = "snapshot",
	.run = run_snapshot,
	.usage = "-o DIR [OPTION]... SOCK",
	.summary = "write what a machine that listens at a socket is now, as a layer",
	.options = "  -o, --output DIR   the layer to write\n"
		   "  --no-sync          do not wait until it is on the disk\n"
		   "  --json             what came of it, as one JSON object on stdout\n",
};
