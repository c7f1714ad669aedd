/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_inspect.c - `thaw inspect`: what is in an image, in words or as JSON; needs no KVM. */
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtio_blk.h"
#include "engine/util.h"
#include "snapshot/image.h"
#include "tools/thaw/cmd.h"
#include "tools/thaw/memory_map.h"

#define SHOWN_CHARS 32u /* of a byte string, in text */
#define SHOWN_ITEMS 4u	/* of an array, in text */

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "state", no_argument, NULL, 's' },
	{ "parent", required_argument, NULL, 'P' },
	{ "png", required_argument, NULL, 'p' },
	{ 0 },
};

/* A string of the document by its key, or path of keys; "" where there is none. */
static const char *text_of(const json_t *obj, const char *key)
{
	const char *text = json_string_value(json_object_get(obj, key));

	return text ? text : "";
}

static const char *text_at(const json_t *doc, const char *key, const char *inner)
{
	return text_of(json_object_get(doc, key), inner);
}

static long long int_of(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static long long int_at(const json_t *doc, const char *key, const char *inner)
{
	return int_of(json_object_get(doc, key), inner);
}

static void print_value(const json_t *value)
{
	const char *text = json_string_value(value);
	const json_t *item;
	size_t i;

	if (text) {
		printf(" %.*s%s", (int)SHOWN_CHARS, text,
		       strlen(text) > SHOWN_CHARS ? "..." : "");
		return;
	}
	json_array_foreach(value, i, item)
	{
		if (i == SHOWN_ITEMS) {
			printf(" ...");
			return;
		}
		printf(" %s", json_string_value(item));
	}
}

static void print_fields(json_t *elements)
{
	const char *name;
	json_t *fields, *value;
	size_t i;

	json_array_foreach(elements, i, fields)
	{
		json_object_foreach(fields, name, value)
		{
			printf("    %-24s", name);
			print_value(value);
			putchar('\n');
		}
	}
}

static void print_sections(const json_t *sections, bool fields)
{
	const json_t *s;
	size_t i;

	json_array_foreach(sections, i, s)
	{
		json_t *elements = json_object_get(s, "elements");

		printf("  %-16s v%lld instance %lld, %lld bytes%s\n",
		       json_string_value(json_object_get(s, "name")),
		       json_integer_value(json_object_get(s, "version")),
		       json_integer_value(json_object_get(s, "instance")),
		       json_integer_value(json_object_get(s, "size_bytes")),
		       elements ? "" : ", not known to this version");
		if (fields)
			print_fields(elements);
	}
}

static void print_wset(const json_t *w)
{
	if (!json_is_object(w)) {
		printf("starts    not recorded: no working set\n");
		return;
	}
	printf("starts    %lld recorded: %lld pages touched, %lld of them by every start, "
	       "%lld written to; %zu runs\n",
	       int_of(w, "record_runs"), int_of(w, "touched_pages"), int_of(w, "always_pages"),
	       int_of(w, "dirtied_pages"), json_array_size(json_object_get(w, "runs")));
}

static void print_parents(const json_t *parents)
{
	const json_t *p;
	size_t i;

	json_array_foreach(parents, i, p)
		printf("%s %s (%s), %lld pages\n", i == 0 ? "layer on " : "  and on ",
		       json_string_value(json_object_get(p, "id")),
		       json_string_value(json_object_get(p, "image")),
		       json_integer_value(json_object_get(p, "pages")));
}

static void print_limit(const json_t *limit, const char *of)
{
	long long burst = int_of(limit, "burst");

	if (!limit)
		return;
	printf(", %lld %s", int_of(limit, "size"), of);
	if (burst > 0)
		printf(" (and %lld once)", burst);
	printf(" each %lld ms", int_of(limit, "refill_ms"));
}

/* The serial number of the @n-th disk is in its state, here as hex; "" for one that is not there. */
static const char *serial_of(const json_t *sections, size_t n)
{
	const json_t *s;
	size_t i;

	json_array_foreach(sections, i, s)
	{
		if (strcmp(text_of(s, "name"), virtio_blk_type.state.name) == 0 &&
		    int_of(s, "instance") == (long long)n)
			return text_of(json_array_get(json_object_get(s, "elements"), 0),
				       "serial");
	}
	return "";
}

/* An image must not write on people's terminals. */
static void print_serial(const char *hex)
{
	char byte[3] = "";

	for (const char *at = hex; *at && strncmp(at, "00", 2) != 0; at += 2) {
		unsigned long c;

		memcpy(byte, at, 2);
		c = strtoul(byte, NULL, 16);
		printf("%s%c", at == hex ? ", serial " : "",
		       c >= 0x20 && c <= 0x7e ? (int)c : '?');
	}
}

static void print_drives(const json_t *drives, const json_t *sections)
{
	const json_t *d;
	size_t i;

	json_array_foreach(drives, i, d)
	{
		printf("drive     %s, %lld KiB, %s", text_of(d, "id"),
		       int_of(d, "size_bytes") >> 10,
		       json_is_true(json_object_get(d, "read_only")) ? "read-only" : "overlay");
		print_serial(serial_of(sections, i));
		print_limit(json_object_get(d, "bytes_limit"), "bytes");
		print_limit(json_object_get(d, "ops_limit"), "requests");
		printf("; %s\n", text_of(d, "path"));
	}
}

static void print_text(const json_t *doc, bool fields)
{
	const json_t *m = json_object_get(doc, "manifest");
	const json_t *files = json_object_get(m, "files");
	const json_t *sections = json_object_get(doc, "sections");

	printf("image     %s\ncreated   %s by thaw %s on Linux %s (%s)\n",
	       json_string_value(json_object_get(m, "id")),
	       json_string_value(json_object_get(m, "created")),
	       json_string_value(json_object_get(m, "thaw_version")),
	       text_at(m, "host", "kernel"), text_at(m, "host", "kvm"));
	print_parents(json_object_get(doc, "parents"));
	printf("guest     %s, program %s\n", text_at(m, "guest", "kind"),
	       text_at(m, "guest", "program"));
	printf("shape     %lld vCPU, %lld MiB, TSC %lld kHz, XSAVE %s, CPU %s\n",
	       int_at(m, "shape", "vcpus"), int_at(m, "memory", "ram_bytes") >> 20,
	       int_at(m, "shape", "tsc_khz"), text_at(m, "shape", "xcr0"),
	       text_at(m, "cpu", "vendor"));
	printf("memory    %lld pages (%lld KiB) in %lld frames, %lld KiB stored%s\n",
	       int_at(m, "memory", "stored_pages"), int_at(m, "memory", "nonzero_bytes") >> 10,
	       int_at(doc, "memory", "frames"), int_at(files, "memory.lz4", "size_bytes") >> 10,
	       json_object_get(files, "memory.raw") ? ", and as memory.raw" : "");
	print_wset(json_object_get(doc, "working_set"));
	print_drives(json_object_get(m, "drives"), sections);
	printf("state     %zu sections, %lld bytes\n", json_array_size(sections),
	       int_at(files, "state.bin", "size_bytes"));
	print_sections(sections, fields);
}

static int inspect(const char *dir, const char *parent, char **json, struct thaw_err *err)
{
	struct thaw_image *image;
	int ret = thaw_image_open_layer(&image, dir, parent, err);

	if (ret < 0)
		return ret;
	ret = thaw_image_inspect(image, json, err);
	thaw_image_close(image);
	return ret;
}

static int draw(const char *dir, const char *parent, const char *path)
{
	static struct image img; /* too large for the stack */
	struct err err = { 0 };
	int ret = image_open_layer(&img, dir, parent, &err);

	if (ret < 0)
		return cmd_fail(ret, &err);
	ret = memory_map_write(&img, path, &err);
	image_close(&img);
	return ret < 0 ? cmd_fail(ret, &err) : EXIT_OK;
}

static int describe(const char *dir, const char *parent, bool as_json, bool state)
{
	struct thaw_err err = { 0 };
	auto_free char *json = NULL;
	int ret = inspect(dir, parent, &json, &err);
	json_t *doc;

	if (ret < 0)
		return cmd_fail(ret, cmd_err(&err));
	if (as_json) {
		puts(json);
		return EXIT_OK;
	}
	doc = json_loads(json, 0, NULL);
	print_text(doc, state);
	json_decref(doc);
	return EXIT_OK;
}

static int run_inspect(int argc, char **argv)
{
	bool as_json = false, state = false;
	const char *png = NULL, *parent = NULL;
	int opt, code;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return cmd_usage(&cmd_inspect, "unknown option");
		as_json |= opt == 'j';
		state |= opt == 's';
		png = opt == 'p' ? optarg : png;
		parent = opt == 'P' ? optarg : parent;
	}
	if (optind != argc - 1)
		return cmd_usage(&cmd_inspect, "expected one image, got %d", argc - optind);
	code = png ? draw(argv[optind], parent, png) : EXIT_OK;
	return code == EXIT_OK ? describe(argv[optind], parent, as_json, state) : code;
}

const struct cmd cmd_inspect = {
	.name = "inspect",
	.run = run_inspect,
	.usage = "[--state] [--json] [--png FILE] [--parent DIR] DIR",
	.summary = "show what is in an image; needs no KVM",
	.options = "  --parent DIR       where the parent of a layer is, when not beside it\n"
		   "  --state            also every register and field of the frozen state\n"
		   "  --json             everything, as one JSON object on stdout\n"
		   "  --png FILE         also draw a map of guest memory: zero, cold, touched, "
		   "written to\n",
};
