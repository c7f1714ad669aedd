/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest_value.h - inside the manifest only: the kinds of value that its keys have, each
 * with the checks that reading it takes and with the JSON that it is written as.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct value_key;

#define VALUE_PATH_SIZE 96 /* ours: "files.memory.raw.size_bytes" and longer */

struct value_kind {
	/* Check @v (NULL: missing), then copy it to @to. @path names it for a person.
	 * Errors: -ERR_DAMAGED; @to is untouched then. */
	int (*read)(const struct value_key *k, const char *path, const json_t *v, void *to,
		    struct err *err);
	/* A new reference, or NULL: no memory, or text that is not UTF-8. */
	json_t *(*write)(const struct value_key *k, const void *from);
	bool (*is_missing)(const void *from); /* nothing is written of it; NULL: never */
};

struct value_key {
	const char *group; /* the object that holds it; NULL: the manifest itself */
	const char *name;
	const struct value_kind *kind;
	size_t off;	   /* of the member in its struct */
	size_t size;	   /* bytes of the member */
	uint64_t min, max; /* of numbers */
};

extern const struct value_kind value_text;	    /* char[]: fits with its NUL */
extern const struct value_kind value_number;	    /* uint32_t, uint64_t: min to max */
extern const struct value_kind value_mask;	    /* the same, as "0x1f" */
extern const struct value_kind value_flag;	    /* uint32_t, 0 or 1: false, true */
extern const struct value_kind value_digest;	    /* struct digest */
extern const struct value_kind value_id;	    /* char[33]: 32 hex digits */
extern const struct value_kind value_parent;	    /* the same, or "" for null */
extern const struct value_kind value_parent_digest; /* digest, or zero for null or missing */
extern const struct value_kind value_time;	    /* char[]: "2026-01-31T12:00:00Z" */
extern const struct value_kind
	value_limit; /* struct rate_limit: an object, or missing for none */

/* The error for a value that is not there or of another type. Returns -ERR_DAMAGED. */
int value_missing(const char *path, const json_t *v, const char *expected, struct err *err);
