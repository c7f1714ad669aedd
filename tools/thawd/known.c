/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/known.h"

#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/names.h"

#define MAX_NAMES 65536u /* ours: then it begins anew */

#define TEXT_SIZE (NAMES_FUNCTION_SIZE + NAMES_QUALIFIER_SIZE)

struct name {
	struct function *function;
	const char *text; /* FUNCTION:QUALIFIER; neither has a colon */
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Returns false: longer than any that there is. */
static bool make_text(char text[TEXT_SIZE], const char *name, const char *qualifier)
{
	return snprintf(text, TEXT_SIZE, "%s:%s", name, qualifier) < (int)TEXT_SIZE;
}

struct function *known_find(struct known *k, uint64_t changes, const char *name,
			    const char *qualifier)
{
	char text[TEXT_SIZE];
	const struct name key = { .text = text };
	struct name **found;

	if (k->changes != changes || !make_text(text, name, qualifier))
		return NULL;
	found = tfind(&key, &k->names, compare);
	return found ? (*found)->function : NULL;
}

/* In one piece with its text. */
static struct name *make(const char *text, struct function *f)
{
	size_t size = strlen(text) + 1;
	struct name *n = malloc(sizeof(*n) + size);

	if (n)
		*n = (struct name){ .function = f, .text = memcpy(n + 1, text, size) };
	return n;
}

void known_add(struct known *k, uint64_t changes, const char *name, const char *qualifier,
	       struct function *f)
{
	char text[TEXT_SIZE];
	struct name *n, **at;

	if (!make_text(text, name, qualifier))
		return;
	if (k->changes != changes || k->n == MAX_NAMES)
		known_forget(k);
	k->changes = changes;
	n = make(text, f);
	at = n ? tsearch(n, &k->names, compare) : NULL;
	if (at && *at == n)
		k->n++;
	else
		free(n);
}

void known_forget(struct known *k)
{
	tdestroy(k->names, free);
	k->names = NULL;
	k->n = 0;
}
