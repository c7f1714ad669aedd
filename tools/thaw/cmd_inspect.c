/* SPDX-License-Identifier: Apache-2.0 */
/* cmd_inspect.c - `thaw inspect`: what is in an image, in words or as JSON; needs no KVM. */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "snapshot/image.h"
#include "snapshot/machine_state.h"
#include "tools/thaw/cmd.h"

#define SHOWN_BYTES 16u /* of a byte string or a long array, in text */

static const struct option options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "state", no_argument, NULL, 's' },
	{ 0 },
};

/* The table of a section, or NULL for one that this version does not know. */
static const struct state_desc *find_desc(const struct state_section *s)
{
	const struct state_desc *d;

	for (uint32_t i = 0; (d = machine_state_desc(i)) != NULL; i++) {
		if (strcmp(d->name, s->name) == 0 && d->version == s->version)
			return d;
	}
	return NULL;
}

static json_t *hex_json(uint64_t value)
{
	return json_sprintf("0x%" PRIx64, value);
}

static json_t *bytes_json(const uint8_t *bytes, uint32_t n)
{
	json_t *text;
	char *hex = calloc(1, (size_t)n * 2 + 1);

	if (!hex)
		return json_null();
	for (uint32_t i = 0; i < n; i++)
		snprintf(hex + (size_t)i * 2, 3, "%02x", bytes[i]);
	text = json_string(hex);
	free(hex);
	return text;
}

static uint32_t kind_bytes(enum state_kind kind)
{
	const struct state_field f = { .kind = kind };

	return state_unit(&f);
}

/* 64-bit values are hex strings: a JSON number is not safe beyond 2^53. */
static int field_to_json(void *arg, const char *path, enum state_kind kind, uint32_t count,
			 const void *data)
{
	json_t *list;

	if (kind == STATE_BYTES)
		return json_object_set_new(arg, path, bytes_json(data, count));
	if (count == 1)
		return json_object_set_new(arg, path,
					   hex_json(state_int(data, kind_bytes(kind))));
	list = json_array();
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			list,
			hex_json(state_int((const uint8_t *)data + (size_t)i * kind_bytes(kind),
					   kind_bytes(kind))));
	return json_object_set_new(arg, path, list);
}

static json_t *section_json(const struct state_section *s)
{
	const struct state_desc *d = find_desc(s);
	json_t *doc = json_pack("{ss sI sI sb sI}", "name", s->name, "version",
				(json_int_t)s->version, "instance", (json_int_t)s->instance,
				"required", (s->flags & STATE_SECTION_REQUIRED) != 0,
				"size_bytes", (json_int_t)s->len);
	json_t *elements;

	if (!d || s->len % d->size != 0)
		return doc;
	elements = json_array();
	for (size_t at = 0; at < s->len; at += d->size) {
		json_t *fields = json_object();

		state_walk(d, (const uint8_t *)s->data + at, field_to_json, fields);
		json_array_append_new(elements, fields);
	}
	json_object_set_new(doc, "elements", elements);
	return doc;
}

static void print_json(const struct image *img)
{
	json_t *sections = json_array();
	struct state_section s;
	size_t off = 0;

	while (state_file_next(&img->state, &off, &s))
		json_array_append_new(sections, section_json(&s));
	cmd_print_json(stdout, json_pack("{sO so s{sI sI}}", "manifest", img->manifest.doc,
					 "sections", sections, "memory", "frames",
					 (json_int_t)img->frames.header.nframes, "pages",
					 (json_int_t)img->frames.header.npages));
}

static int print_field(void *arg, const char *path, enum state_kind kind, uint32_t count,
		       const void *data)
{
	uint32_t unit = kind == STATE_BYTES ? 1 : kind_bytes(kind);
	uint32_t shown = MIN(count, SHOWN_BYTES / unit);
	const uint8_t *p = data;

	(void)arg;
	printf("    %-24s", path);
	for (uint32_t i = 0; i < shown; i++)
		printf(kind == STATE_BYTES ? "%02" PRIx64 : " 0x%" PRIx64,
		       state_int(p + (size_t)i * unit, unit));
	printf("%s\n", shown < count ? " ..." : "");
	return 0;
}

static void print_sections(const struct image *img, bool fields)
{
	struct state_section s;
	size_t off = 0;

	while (state_file_next(&img->state, &off, &s)) {
		const struct state_desc *d = find_desc(&s);

		printf("  %-16s v%u instance %u, %zu bytes%s\n", s.name, s.version, s.instance,
		       s.len, d ? "" : ", not known to this version");
		if (!d || !fields || s.len % d->size != 0)
			continue;
		for (size_t at = 0; at < s.len; at += d->size)
			state_walk(d, (const uint8_t *)s.data + at, print_field, NULL);
	}
}

static void print_text(const struct image *img, bool fields)
{
	const struct manifest *m = &img->manifest;
	uint64_t stored = m->files[MANIFEST_MEMORY].size;

	printf("image     %s\ncreated   %s by thaw %s on Linux %s (%s)\n", m->id, m->created,
	       m->thaw_version, m->host_kernel, m->host_kvm);
	printf("guest     %s, program %s\n", m->guest_kind, m->guest_program);
	printf("shape     %u vCPU, %" PRIu64 " MiB, TSC %u kHz, XSAVE 0x%" PRIx64 ", CPU %s\n",
	       m->vcpus, m->ram_size >> 20, m->tsc_khz, m->xcr0, m->cpu_vendor);
	printf("memory    %" PRIu64 " pages (%" PRIu64 " KiB) in %" PRIu64 " frames, %" PRIu64
	       " KiB stored%s\n",
	       m->stored_pages, m->nonzero_size >> 10, img->frames.header.nframes, stored >> 10,
	       img->raw_fd >= 0 ? ", and as memory.raw" : "");
	printf("state     %u sections, %" PRIu64 " bytes\n", img->state.nsections,
	       m->files[MANIFEST_STATE].size);
	print_sections(img, fields);
}

static int run_inspect(int argc, char **argv)
{
	static struct image img; /* too large for the stack */
	bool json = false, state = false;
	struct err err = { 0 };
	int opt, ret;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == '?')
			return cmd_usage(&cmd_inspect, "unknown option");
		json |= opt == 'j';
		state |= opt == 's';
	}
	if (optind != argc - 1)
		return cmd_usage(&cmd_inspect, "expected one image, got %d", argc - optind);
	ret = image_open(&img, argv[optind], &err);
	if (ret < 0)
		return cmd_fail(ret, &err);
	if (json)
		print_json(&img);
	else
		print_text(&img, state);
	image_close(&img);
	return EXIT_OK;
}

const struct cmd cmd_inspect = {
	.name = "inspect",
	.run = run_inspect,
	.usage = "[--state] [--json] DIR",
	.summary = "show what is in an image; needs no KVM",
	.options = "  --state            also every register and field of the frozen state\n"
		   "  --json             everything, as one JSON object on stdout\n",
};
