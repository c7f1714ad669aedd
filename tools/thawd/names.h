/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - what functions, versions and aliases may be called: as with AWS Lambda. */
#pragma once

#include <stdint.h>

#include "engine/util.h"

struct err;

#define NAMES_LATEST	     "$LATEST"
#define NAMES_FUNCTION_SIZE  65u  /* 64 letters, digits, "-" and "_", and a NUL */
#define NAMES_QUALIFIER_SIZE 129u /* the same for an alias of 128, or a version's digits */

/* Errors of all of these: -EINVAL. */
int names_check_function(const char *name, struct err *err) must_check;

/* Not digits only: that is a version. */
int names_check_alias(const char *name, struct err *err) must_check;

enum names_kind { NAMES_VERSION, NAMES_ALIAS };

/*
 * names_qualifier - what a qualifier is: NULL and "$LATEST" are version 0, digits the version of
 * that number, all else is an alias.
 * Returns an enum names_kind, with @version of a version.
 */
int names_qualifier(const char *qualifier, int64_t *version, struct err *err) must_check;

/* The same of a function's @name and a qualifier. */
int names_qualified(const char *name, const char *qualifier, int64_t *version,
		    struct err *err) must_check;

/* The qualifier that means @version; 0: $LATEST. */
void names_version(char text[NAMES_QUALIFIER_SIZE], int64_t version);
