/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/inspect.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "snapshot/image.h"
#include "snapshot/machine_state.h"

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

static json_t *bytes_json(const uint8_t *bytes, uint32_t n)
{
	char *hex = calloc(1, (size_t)n * 2 + 1);
	json_t *text;

	if (!hex)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		snprintf(hex + (size_t)i * 2, 3, "%02x", bytes[i]);
	text = json_string(hex);
	free(hex);
	return text;
}

static json_t *int_json(const void *p, enum state_kind kind)
{
	const struct state_field f = { .kind = kind };

	return json_sprintf("0x%" PRIx64, state_int(p, state_unit(&f)));
}

static int add_field(void *fields, const char *path, enum state_kind kind, uint32_t count,
		     const void *data)
{
	const struct state_field f = { .kind = kind };
	json_t *list;

	if (kind == STATE_BYTES)
		return json_object_set_new(fields, path, bytes_json(data, count));
	if (count == 1)
		return json_object_set_new(fields, path, int_json(data, kind));
	list = json_array();
	for (uint32_t i = 0; i < count; i++)
		json_array_append_new(
			list,
			int_json((const uint8_t *)data + (size_t)i * state_unit(&f), kind));
	return json_object_set_new(fields, path, list);
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

		state_walk(d, (const uint8_t *)s->data + at, add_field, fields);
		json_array_append_new(elements, fields);
	}
	json_object_set_new(doc, "elements", elements);
	return doc;
}

static json_t *wset_json(const struct wset *w)
{
	struct wset_counts n = wset_count(w);
	json_t *runs;

	if (w->nruns == 0)
		return json_null();
	runs = json_array();
	for (uint32_t i = 0; i < w->nruns; i++) {
		const struct wset_run *r = &w->runs[i];

		json_array_append_new(runs,
				      json_pack("{so sI si sb}", "gpa",
						json_sprintf("0x%" PRIx64, r->gpa), "pages",
						(json_int_t)r->pages, "seen", (int)r->seen,
						"dirtied", (r->flags & WSET_DIRTIED) != 0));
	}
	return json_pack("{sI sI sI sI so}", "record_runs", (json_int_t)w->record_runs,
			 "touched_pages", (json_int_t)n.touched, "always_pages",
			 (json_int_t)n.always, "dirtied_pages", (json_int_t)n.dirtied, "runs",
			 runs);
}

/* The images that a layer lies on, the nearest first. */
static json_t *parents_json(const struct image *img)
{
	json_t *list = json_array();

	for (img = img->parent; img; img = img->parent)
		json_array_append_new(list, json_pack("{ss ss sI}", "id", img->manifest.id,
						      "image", img->name, "pages",
						      (json_int_t)img->frames.header.npages));
	return list;
}

int image_inspect(const struct image *img, char **json, struct err *err)
{
	json_t *sections = json_array();
	struct state_section s;
	size_t off = 0;
	json_t *doc;

	while (state_file_next(&img->state, &off, &s))
		json_array_append_new(sections, section_json(&s));
	doc = json_pack("{sO so so s{sI sI} so}", "manifest", img->manifest.doc, "parents",
			parents_json(img), "sections", sections, "memory", "frames",
			(json_int_t)img->frames.header.nframes, "pages",
			(json_int_t)img->frames.header.npages, "working_set",
			wset_json(&img->wset));
	*json = doc ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (!*json)
		return err_set(err, ENOMEM, "no memory to describe the image");
	return 0;
}
