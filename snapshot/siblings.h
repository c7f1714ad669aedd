/* SPDX-License-Identifier: Apache-2.0 */
/* siblings.h - the image with a given id among the directories beside an image. */
#pragma once

#include <limits.h>

#include "engine/util.h"

struct err;

/*
 * siblings_find - look through the directory that holds the directory @dirfd.
 * @id: as in a manifest. @name: gets the entry's name: "../NAME" from @dirfd is the image.
 * Errors: -ENOENT there is none, without a sentence: the caller knows what it was for;
 * -ERR_DAMAGED there is none, and a manifest that holds the id cannot be read; -ENOMEM; what
 * opendir says.
 * Cost: a read of every sibling's manifest; only those that hold the id are parsed.
 */
int siblings_find(int dirfd, const char *id, char name[NAME_MAX + 1],
		  struct err *err) must_check;
