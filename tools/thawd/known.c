/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/known.h"

#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/thawd/names.h"

#define MAX_NAMES 65536u /* ours: then it begins anew */

struct name {
	struct function *function;
	char text[]; /* FUNCTION:QUALIFIER; neither has a colon */
};

struct name_key {
	struct name name;
	char room[NAMES_FUNCTION_SIZE + NAMES_QUALIFIER_SIZE];
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* Returns the size of its text. */
static size_t make_key(struct name_key *key, const char *name, const char *qualifier)
{
	return (size_t)snprintf(key->name.text, sizeof(key->room), "%s:%s", name, qualifier) +
	       1;
}

struct function *known_find(struct known *k, uint64_t changes, const char *name,
			    const char *qualifier)
{
	struct name_key key;
	struct name **found;

	if (k->changes != changes || make_key(&key, name, qualifier) > sizeof(key.room))
		return NULL;
	found = tfind(&key.name, &k->names, compare);
	return found ? (*found)->function : NULL;
}

void known_add(struct known *k, uint64_t changes, const char *name, const char *qualifier,
	       struct function *f)
{
	struct name_key key;
	size_t size = make_key(&key, name, qualifier);
	struct name *n, **at;

	if (size > sizeof(key.room))
		return;
	if (k->changes != changes || k->n == MAX_NAMES)
		known_forget(k);
	k->changes = changes;
	n = malloc(sizeof(*n) + size);
	if (!n)
		return;
	n->function = f;
	memcpy(n->text, key.name.text, size);
	at = tsearch(n, &k->names, compare);
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
