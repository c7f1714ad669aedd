/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/format.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/digest.h"
#include "snapshot/io.h"

static size_t filled(size_t len)
{
	return (len + 7) & ~(size_t)7;
}

static uint32_t header_crc(const struct state_file_header *h)
{
	struct state_file_header copy = *h;

	copy.crc32c = 0;
	return digest_crc32c(0, &copy, sizeof(copy));
}

static uint32_t section_crc(const struct state_section_header *h, const void *payload)
{
	struct state_section_header copy = *h;

	copy.crc32c = 0;
	return digest_crc32c(digest_crc32c(0, &copy, sizeof(copy)), payload, h->size);
}

/* 1 to 15 printable characters, then only NULs: safe to print and to compare as 16 bytes. */
static bool name_is_valid(const char name[STATE_NAME_SIZE])
{
	size_t n = strnlen(name, STATE_NAME_SIZE);

	for (size_t i = 0; i < n; i++) {
		if (name[i] <= ' ' || name[i] > '~')
			return false;
	}
	return n > 0 && n < STATE_NAME_SIZE && io_is_zero(name + n, STATE_NAME_SIZE - n);
}

static const struct state_section_header *section_at(const struct state_file *f, size_t off)
{
	return (const void *)(f->buf + off);
}

/* Where the section after the one at @off begins. */
static size_t section_end(const struct state_file *f, size_t off)
{
	return off + sizeof(struct state_section_header) + filled(section_at(f, off)->size);
}

static int check_header(struct state_file *f, struct err *err)
{
	const struct state_file_header *h = (const void *)f->buf;

	if (f->len < sizeof(*h))
		return err_set(err, ERR_DAMAGED, "has %zu bytes, expected at least %zu", f->len,
			       sizeof(*h));
	if (memcmp(h->magic, STATE_FILE_MAGIC, sizeof(h->magic)) != 0)
		return err_set(err, ERR_DAMAGED, "offset 0: magic is not " STATE_FILE_MAGIC);
	if (h->crc32c != header_crc(h))
		return err_set(err, ERR_DAMAGED,
			       "header at offset 0: crc32c is 0x%08x, expected 0x%08x",
			       header_crc(h), h->crc32c);
	f->version = h->version;
	if (h->version != STATE_FILE_VERSION)
		return err_set(err, ERR_UNFIT, "format version %u, this thaw reads %u",
			       h->version, STATE_FILE_VERSION);
	if (h->size != f->len || f->len > STATE_FILE_MAX_SIZE)
		return err_set(err, ERR_DAMAGED,
			       "has %zu bytes, its header says %" PRIu64
			       ", largest allowed is %u",
			       f->len, h->size, STATE_FILE_MAX_SIZE);
	if (h->nsections > STATE_FILE_MAX_SECTIONS)
		return err_set(err, ERR_DAMAGED, "has %u sections, largest allowed is %u",
			       h->nsections, STATE_FILE_MAX_SECTIONS);
	if (!io_is_zero(h->reserved, sizeof(h->reserved)))
		return err_set(err, ERR_DAMAGED,
			       "header at offset 0: reserved bytes are not 0");
	f->nsections = h->nsections;
	return 0;
}

static int check_section(const struct state_file *f, size_t off, struct err *err)
{
	const struct state_section_header *h = section_at(f, off);
	const uint8_t *payload = f->buf + off + sizeof(*h);
	size_t room = f->len - off;
	uint32_t crc;

	if (room < sizeof(*h))
		return err_set(err, ERR_DAMAGED,
			       "section at offset %zu: %zu bytes left, its header has %zu", off,
			       room, sizeof(*h));
	room -= sizeof(*h);
	if (h->size > room || filled(h->size) > room)
		return err_set(err, ERR_DAMAGED,
			       "section at offset %zu: length is %" PRIu64
			       ", the file has %zu bytes left",
			       off, h->size, room);
	crc = section_crc(h, payload);
	if (h->crc32c != crc)
		return err_set(err, ERR_DAMAGED,
			       "section at offset %zu: crc32c is 0x%08x, expected 0x%08x", off,
			       crc, h->crc32c);
	if (!name_is_valid(h->name))
		return err_set(
			err, ERR_DAMAGED,
			"section at offset %zu: name is not 1 to %u printable characters", off,
			STATE_NAME_SIZE - 1);
	if ((h->flags & ~(uint32_t)STATE_SECTION_REQUIRED) != 0)
		return err_set(err, ERR_DAMAGED,
			       "section %s[%u] at offset %zu: unknown flags 0x%x", h->name,
			       h->instance, off, h->flags);
	if (!io_is_zero(payload + h->size, filled(h->size) - h->size))
		return err_set(err, ERR_DAMAGED,
			       "section %s[%u] at offset %zu: filling is not 0", h->name,
			       h->instance, off);
	return 0;
}

/* Offset of the section in [begin, end), or 0. @index: its place, counted from begin. */
static size_t section_search(const struct state_file *f, size_t end, const char *name,
			     uint32_t instance, uint32_t *index)
{
	*index = 0;
	for (size_t off = sizeof(struct state_file_header); off < end;
	     off = section_end(f, off), (*index)++) {
		const struct state_section_header *h = section_at(f, off);

		if (h->instance == instance && strcmp(h->name, name) == 0)
			return off;
	}
	return 0;
}

int state_file_parse(struct state_file *f, const void *buf, size_t len, struct err *err)
{
	size_t off = sizeof(struct state_file_header);
	uint32_t index;
	int ret;

	assert((uintptr_t)buf % 8 == 0);
	*f = (struct state_file){ .buf = buf, .len = len };
	ret = check_header(f, err);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < f->nsections; i++) {
		const struct state_section_header *h = section_at(f, off);

		ret = check_section(f, off, err);
		if (ret < 0)
			return ret;
		if (section_search(f, off, h->name, h->instance, &index) != 0)
			return err_set(err, ERR_DAMAGED,
				       "section %s[%u] at offset %zu: there is one already",
				       h->name, h->instance, off);
		off = section_end(f, off);
	}
	if (off != len)
		return err_set(err, ERR_DAMAGED,
			       "%zu bytes after the last section at offset %zu", len - off,
			       off);
	return 0;
}

int state_file_next(const struct state_file *f, size_t *off, struct state_section *s)
{
	const struct state_section_header *h;

	if (*off == 0)
		*off = sizeof(struct state_file_header);
	if (*off >= f->len)
		return 0;
	h = section_at(f, *off);
	*s = (struct state_section){ .name = h->name,
				     .version = h->version,
				     .instance = h->instance,
				     .flags = h->flags,
				     .data = h + 1,
				     .len = h->size };
	*off = section_end(f, *off);
	return 1;
}

int state_file_find(struct state_file *f, const char *name, uint32_t instance,
		    struct state_section *s)
{
	uint32_t index;
	size_t off = section_search(f, f->len, name, instance, &index);

	if (off == 0)
		return 0;
	f->used[index / 64] |= 1ull << (index % 64);
	return state_file_next(f, &off, s);
}

static int find_version(struct state_file *f, const struct state_desc *d, uint32_t instance,
			struct state_section *s, struct err *err)
{
	if (!state_file_find(f, d->name, instance, s))
		return err_set(err, ERR_DAMAGED, "section %s[%u] is missing", d->name,
			       instance);
	if (s->version != d->version)
		return err_set(err, ERR_UNFIT,
			       "section %s[%u] has version %u, this thaw reads %u", d->name,
			       instance, s->version, d->version);
	return 0;
}

/* The CRC was right, so whoever wrote the section wrote what no thaw of its version would. */
static int bad_values(const struct state_section *s, struct err *err)
{
	return err_wrap(err, -ERR_DAMAGED, "section %s[%u]", s->name, s->instance);
}

int state_file_load(struct state_file *f, const struct state_desc *d, uint32_t instance,
		    void *state, struct err *err)
{
	struct state_section s = { 0 };
	int ret = find_version(f, d, instance, &s, err);

	if (ret < 0)
		return ret;
	ret = state_load(d, state, s.data, s.len, err);
	return ret < 0 ? bad_values(&s, err) : ret;
}

int state_file_load_array(struct state_file *f, const struct state_desc *d, uint32_t instance,
			  void *state, size_t cap, struct err *err)
{
	struct state_section s = { 0 };
	int ret = find_version(f, d, instance, &s, err);

	if (ret < 0)
		return ret;
	ret = state_load_array(d, state, cap, s.data, s.len, err);
	return ret < 0 ? bad_values(&s, err) : ret;
}

int state_file_finish(const struct state_file *f, struct err *err)
{
	struct state_section s;
	size_t off = 0;

	for (uint32_t i = 0; state_file_next(f, &off, &s); i++) {
		if ((s.flags & STATE_SECTION_REQUIRED) && !(f->used[i / 64] >> (i % 64) & 1))
			return err_set(
				err, ERR_UNFIT,
				"section %s[%u] is required, and this thaw does not know it",
				s.name, s.instance);
	}
	return 0;
}

/* Room for @more bytes, zeroed, so that reserved fields and filling need no care. */
static int writer_grow(struct state_writer *w, size_t more, struct err *err)
{
	size_t cap = w->cap ? w->cap : 16384;
	uint8_t *buf;

	while (cap < w->len + more)
		cap *= 2;
	if (cap == w->cap)
		return 0;
	buf = realloc(w->buf, cap);
	if (!buf)
		return err_set(err, ENOMEM, "state of %zu bytes: out of memory", cap);
	memset(buf + w->cap, 0, cap - w->cap);
	w->buf = buf;
	w->cap = cap;
	return 0;
}

/* The file header's place is kept before the first section. */
static int writer_begin(struct state_writer *w, struct err *err)
{
	int ret = 0;

	if (w->len == 0) {
		ret = writer_grow(w, sizeof(struct state_file_header), err);
		w->len = ret < 0 ? 0 : sizeof(struct state_file_header);
	}
	return ret;
}

static int writer_check(const struct state_writer *w, const struct state_section *s,
			struct err *err)
{
	struct state_file so_far = { .buf = w->buf, .len = w->len };
	size_t size = sizeof(struct state_section_header) + s->len;
	char name[STATE_NAME_SIZE] = { 0 };
	uint32_t index;

	memcpy(name, s->name, strnlen(s->name, sizeof(name)));
	if (!name_is_valid(name))
		return err_set(err, EINVAL,
			       "section name '%s' is not 1 to %u printable characters", s->name,
			       STATE_NAME_SIZE - 1);
	if (section_search(&so_far, w->len, name, s->instance, &index) != 0)
		return err_set(err, EINVAL, "section %s[%u]: there is one already", s->name,
			       s->instance);
	if (w->nsections == STATE_FILE_MAX_SECTIONS)
		return err_set(err, EFBIG, "section %s[%u] is one more than the %u allowed",
			       s->name, s->instance, STATE_FILE_MAX_SECTIONS);
	if (s->len > STATE_FILE_MAX_SIZE || filled(size) > STATE_FILE_MAX_SIZE - w->len)
		return err_set(err, EFBIG,
			       "section %s[%u] of %zu bytes: largest file allowed is %u bytes",
			       s->name, s->instance, s->len, STATE_FILE_MAX_SIZE);
	return 0;
}

int state_writer_put(struct state_writer *w, const struct state_section *s, struct err *err)
{
	struct state_section_header h = { .version = s->version,
					  .instance = s->instance,
					  .flags = s->flags,
					  .size = s->len };
	int ret = writer_begin(w, err);

	if (ret == 0)
		ret = writer_check(w, s, err);
	if (ret == 0)
		ret = writer_grow(w, sizeof(h) + filled(s->len), err);
	if (ret < 0)
		return ret;
	memcpy(h.name, s->name, strlen(s->name));
	h.crc32c = section_crc(&h, s->data);
	memcpy(w->buf + w->len, &h, sizeof(h));
	if (s->len > 0)
		memcpy(w->buf + w->len + sizeof(h), s->data, s->len);
	w->len += sizeof(h) + filled(s->len);
	w->nsections++;
	return 0;
}

int state_writer_add(struct state_writer *w, const struct state_desc *d, uint32_t instance,
		     const void *data, size_t len, struct err *err)
{
	struct state_section s = { .name = d->name,
				   .version = d->version,
				   .instance = instance,
				   .flags = STATE_SECTION_REQUIRED,
				   .data = data,
				   .len = len };
	bool fits = d->max_count == 0 ? len == d->size
				      : len % d->size == 0 && len / d->size <= d->max_count;

	if (!fits)
		return err_set(err, EINVAL, "section %s[%u]: %zu bytes, expected %s%u times %u",
			       d->name, instance, len, d->max_count ? "up to " : "",
			       d->max_count ? d->max_count : 1, d->size);
	return state_writer_put(w, &s, err);
}

int state_writer_finish(struct state_writer *w, struct err *err)
{
	struct state_file_header h = { .magic = STATE_FILE_MAGIC,
				       .version = STATE_FILE_VERSION,
				       .nsections = w->nsections };
	int ret = writer_begin(w, err);

	if (ret < 0)
		return ret;
	h.size = w->len;
	h.crc32c = header_crc(&h);
	memcpy(w->buf, &h, sizeof(h));
	return 0;
}

void state_writer_fini(struct state_writer *w)
{
	free(w->buf);
	*w = (struct state_writer){ 0 };
}
