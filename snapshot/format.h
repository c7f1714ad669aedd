/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format.h - state.bin: named, versioned sections with everything of a frozen machine that
 * is not guest memory. docs/image-format.md describes the bytes; the structs below are them.
 *
 * The reader checks a buffer once and is then a view of it: it owns nothing, and the buffer
 * must be private (read, not mapped) and outlive it. The writer owns the buffer it grows.
 * Neither locks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/state.h"
#include "engine/util.h"

#define STATE_FILE_MAGIC	"THAWSTAT"
#define STATE_FILE_VERSION	1u
#define STATE_FILE_MAX_SIZE	(16u << 20) /* ours: a vCPU's state is a few KiB */
#define STATE_FILE_MAX_SECTIONS 1024u	    /* ours: bounds the search for duplicates */
#define STATE_NAME_SIZE		16u	    /* with at least one NUL */

/* Magic, version and CRC keep their places in every version of the file. */
struct state_file_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t nsections;
	uint64_t size; /* bytes of the whole file */
	uint8_t reserved[36];
	uint32_t crc32c; /* of this header, this field taken as 0 */
};

enum { STATE_SECTION_REQUIRED = 1u << 0 };

/* Stands before each section's payload, which zeros fill up to a multiple of 8. */
struct state_section_header {
	char name[STATE_NAME_SIZE];
	uint32_t version;
	uint32_t instance; /* counts sections of the same name: vCPU 0, vCPU 1 */
	uint32_t flags;
	uint32_t crc32c; /* of this header, this field taken as 0, and the payload */
	uint64_t size;	 /* bytes of payload, without filling */
};

_Static_assert(sizeof(struct state_file_header) == 64, "as documented");
_Static_assert(sizeof(struct state_section_header) == 40, "as documented");

/* One section, as the reader finds it and as the writer takes it. */
struct state_section {
	const char *name;
	uint32_t version;
	uint32_t instance;
	uint32_t flags;
	const void *data; /* 8-byte aligned when it comes from the reader */
	size_t len;
};

struct state_file {
	const uint8_t *buf;
	size_t len;
	uint32_t version; /* of the file; valid as soon as magic and header CRC are right */
	uint32_t nsections;
	uint64_t used[STATE_FILE_MAX_SECTIONS / 64]; /* sections that were asked for */
};

/*
 * state_file_parse - check everything that can be checked without knowing the sections.
 * @buf: 8-byte aligned.
 * Errors: -ERR_DAMAGED, with the offset; -ERR_UNFIT a file version that this thaw cannot read.
 */
int state_file_parse(struct state_file *f, const void *buf, size_t len,
		     struct err *err) must_check;

/*
 * state_file_next - walk the sections in file order, for tools that show them.
 * @off: 0 to begin; moved on. Returns 1 with @s filled, 0 at the end.
 */
int state_file_next(const struct state_file *f, size_t *off, struct state_section *s);

/* Returns 1 with @s filled and the section taken as understood, or 0 if there is none. */
int state_file_find(struct state_file *f, const char *name, uint32_t instance,
		    struct state_section *s);

/*
 * state_file_load - find the section of @d, check it against the table, copy it to @state.
 * Errors: -ERR_DAMAGED it is missing, or its values are not what @d allows; -ERR_UNFIT
 * another version of the section. @state is untouched unless the result is 0.
 */
int state_file_load(struct state_file *f, const struct state_desc *d, uint32_t instance,
		    void *state, struct err *err) must_check;

/* The same for an array with room for @cap elements. Returns their number, or as above. */
int state_file_load_array(struct state_file *f, const struct state_desc *d, uint32_t instance,
			  void *state, size_t cap, struct err *err) must_check;

/*
 * state_file_finish - after all loads: was every required section asked for?
 * Errors: -ERR_UNFIT, naming the first that was not.
 */
int state_file_finish(const struct state_file *f, struct err *err) must_check;

/* Zeroed to begin with. buf and len are the whole file once state_writer_finish succeeded. */
struct state_writer {
	uint8_t *buf;
	size_t len;
	size_t cap;
	uint32_t nsections;
};

/*
 * state_writer_add - append a required section: @len bytes described by @d.
 * Errors: -EINVAL a name that does not fit, or is there already, or @len is not what @d
 * says; -EFBIG file or section count above the limits; -ENOMEM.
 */
int state_writer_add(struct state_writer *w, const struct state_desc *d, uint32_t instance,
		     const void *data, size_t len, struct err *err) must_check;

/* The same for bytes without a table, or with other flags. */
int state_writer_put(struct state_writer *w, const struct state_section *s,
		     struct err *err) must_check;

/* Complete the header. Nothing may be added afterwards. Errors: -ENOMEM. */
int state_writer_finish(struct state_writer *w, struct err *err) must_check;

void state_writer_fini(struct state_writer *w);
