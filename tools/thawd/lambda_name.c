/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/lambda_name.h"

#include <errno.h>
#include <string.h>

#include "engine/err.h"

#define DIGITS	"0123456789"
#define SMALL	"abcdefghijklmnopqrstuvwxyz"
#define LETTERS SMALL "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define WORD	LETTERS DIGITS "-_"

/* The length of the field at @at, which ends before the next ":" or with the text. */
static size_t field(const char *at)
{
	return strcspn(at, ":");
}

static bool is_of(const char *at, size_t len, const char *set)
{
	return len > 0 && strspn(at, set) >= len;
}

/* Behind the ":" of the field at @at, if it is @len long and not the last; else NULL. */
static const char *behind(const char *at, size_t len)
{
	return field(at) == len && at[len] == ':' ? at + len + 1 : NULL;
}

static const char *skip_word(const char *at, const char *word)
{
	size_t len = strlen(word);
	const char *next = strncmp(at, word, len) == 0 ? behind(at, len) : NULL;

	return next ? next : at;
}

/* "arn:PARTITION:lambda:" */
static const char *skip_service(const char *at)
{
	const char *partition = skip_word(at, "arn"), *service;

	if (partition == at)
		return at;
	service = behind(partition, field(partition));
	if (!service || (field(partition) > 0 && strncmp(partition, "aws", 3) != 0) ||
	    strspn(partition, LETTERS "-") != field(partition))
		return at;
	return skip_word(service, "lambda") == service ? at : skip_word(service, "lambda");
}

/* "us-west-2:" and the like, told by its "-" and the digit at its end */
static const char *skip_region(const char *at)
{
	size_t len = field(at);
	const char *next = behind(at, len);
	bool is_region = next && len > 5 && is_of(at, 2, SMALL) && at[2] == '-' &&
			 is_of(at, len - 1, SMALL "-") && at[len - 2] == '-' &&
			 is_of(at + len - 1, 1, DIGITS);

	return is_region ? next : at;
}

static const char *skip_account(const char *at)
{
	const char *next = behind(at, 12);

	return next && is_of(at, 12, DIGITS) ? next : at;
}

static bool is_qualifier(const char *text, size_t len)
{
	if (len == 7 && strncmp(text, "$LATEST", 7) == 0)
		return true;
	return len < CALL_QUALIFIER_SIZE && is_of(text, len, WORD);
}

static int bad(struct err *err)
{
	return err_set(err, EINVAL,
		       "The function name must be NAME, NAME:QUALIFIER or a Lambda function's "
		       "ARN, its NAME of at most %u letters, digits, - and _",
		       CALL_NAME_SIZE - 1);
}

int lambda_name_parse(struct lambda_name *name, const char *text, struct err *err)
{
	const char *at = skip_service(text), *qualifier;
	size_t len;

	at = skip_word(skip_account(skip_region(at)), "function");
	len = field(at);
	qualifier = at[len] == ':' ? at + len + 1 : NULL;
	if (strlen(text) > LAMBDA_NAME_MAX || len >= CALL_NAME_SIZE || !is_of(at, len, WORD))
		return bad(err);
	if (qualifier && !is_qualifier(qualifier, strlen(qualifier)))
		return bad(err);
	*name = (struct lambda_name){ 0 };
	memcpy(name->function, at, len);
	if (qualifier)
		memcpy(name->qualifier, qualifier, strlen(qualifier));
	return 0;
}

int lambda_name_qualify(struct lambda_name *name, const char *qualifier, struct err *err)
{
	if (!*qualifier || strcmp(name->qualifier, qualifier) == 0)
		return 0;
	if (!is_qualifier(qualifier, strlen(qualifier)))
		return err_set(err, EINVAL,
			       "The qualifier must be $LATEST, a version or an alias, of at "
			       "most %u letters, digits, - and _",
			       CALL_QUALIFIER_SIZE - 1);
	if (*name->qualifier)
		return err_set(err, EINVAL,
			       "The derived qualifier from the function name does not match "
			       "the specified qualifier.");
	memcpy(name->qualifier, qualifier, strlen(qualifier));
	return 0;
}
