/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/names.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

static int check(const char *what, const char *name, size_t size, struct err *err)
{
	size_t len = strlen(name);

	if (len == 0 || len >= size)
		return err_set(err, EINVAL,
			       "the name of %s has %zu characters, expected 1 to %zu", what,
			       len, size - 1);
	if (strspn(name, LETTERS DIGITS "-_") != len)
		return err_set(err, EINVAL,
			       "'%s' names no %s: expected letters, digits, '-' and '_'", name,
			       strchr(what, ' ') + 1);
	return 0;
}

int names_check_function(const char *name, struct err *err)
{
	return check("a function", name, NAMES_FUNCTION_SIZE, err);
}

int names_check_alias(const char *name, struct err *err)
{
	int ret = check("an alias", name, NAMES_QUALIFIER_SIZE, err);

	if (ret == 0 && strspn(name, DIGITS) == strlen(name))
		ret = err_set(err, EINVAL, "'%s' names no alias: digits only are a version",
			      name);
	return ret;
}

int names_qualifier(const char *qualifier, int64_t *version, struct err *err)
{
	int ret;

	*version = 0;
	if (!qualifier || strcmp(qualifier, NAMES_LATEST) == 0)
		return NAMES_VERSION;
	if (qualifier[0] == '\0' || strspn(qualifier, DIGITS) != strlen(qualifier)) {
		ret = names_check_alias(qualifier, err);
		return ret < 0 ? ret : NAMES_ALIAS;
	}
	*version = strtoll(qualifier, NULL, 10);
	if (*version <= 0 || strlen(qualifier) > 18) /* so many fit in an int64_t */
		return err_set(err, EINVAL, "'%.32s' is no version: they count from 1",
			       qualifier);
	return NAMES_VERSION;
}

int names_qualified(const char *name, const char *qualifier, int64_t *version, struct err *err)
{
	int ret = names_check_function(name, err);

	return ret < 0 ? ret : names_qualifier(qualifier, version, err);
}

void names_version(char text[NAMES_QUALIFIER_SIZE], int64_t version)
{
	if (version == 0)
		memcpy(text, NAMES_LATEST, sizeof(NAMES_LATEST));
	else
		snprintf(text, NAMES_QUALIFIER_SIZE, "%" PRId64, version);
}
