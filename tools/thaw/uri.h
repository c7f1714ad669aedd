/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uri.h - the target of a request, "/PATH?QUERY" (RFC 3986), as it came: taken apart first, then
 * decoded, so that an encoded "/" or "&" is no separator.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "engine/util.h"

#define URI_MAX_SEGMENTS 8u /* ours: no path of ours has more than 5 */

struct uri_part {
	const char *at; /* not terminated, not decoded */
	size_t len;
};

struct uri {
	struct uri_part path;			    /* with its "/" */
	struct uri_part query;			    /* without "?"; empty when there is none */
	struct uri_part segments[URI_MAX_SEGMENTS]; /* of the path; may be empty ones */
	size_t nsegments;
};

/*
 * uri_split - take @target apart; what is found points into it.
 * Errors: -EINVAL no path; -E2BIG too many segments.
 */
int uri_split(struct uri *u, const char *target) must_check;

/* The next "name=value" of a query, or false. @rest begins as the query. "=" may be missing. */
bool uri_next_pair(struct uri_part *rest, struct uri_part *name, struct uri_part *value);

/* What is before the first @separator, or all; @rest becomes what is behind it. */
struct uri_part uri_cut(struct uri_part *rest, char separator);

/* Whether @part is @text, byte for byte. */
bool uri_is(struct uri_part part, const char *text);

/*
 * uri_decode - %XX become bytes, of a form "+" becomes a space.
 * Returns the length of what is in @out then, with a NUL behind it. Errors: -EINVAL half an
 * escape, or one of NUL; -ENAMETOOLONG @size bytes are too few.
 */
int uri_decode(struct uri_part part, bool is_form, char *out, size_t size) must_check;

/*
 * uri_parameter - the value of parameter @name of @u's query, decoded; the first one counts.
 * Returns its length, 0 also if there is none. Errors: as uri_decode.
 */
int uri_parameter(const struct uri *u, const char *name, char *out, size_t size) must_check;
