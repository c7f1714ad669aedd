/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tmp.h - what the program makes, renames and removes below /tmp.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/tree.h"

/* A new empty file or directory, or a link to @target, which is copied, where nothing is at
 * @p. NULL: no memory. */
struct node *tmp_make(const struct place *p, enum kind kind, uint32_t mode);
struct node *tmp_make_link(const struct place *p, const char *target);

/* Remove the name. What is open, or the working directory, stays until tmp_put. */
void tmp_remove(struct node *n);

/* Give @n another name in @dir, where nothing is of that name. Returns 0 or -ENOSPC. */
int tmp_move(struct node *n, struct node *dir, const char *name, uint32_t len)
	__attribute__((warn_unused_result));

/* A reference to @n more, or less. NULL: nothing happens. */
void tmp_get(struct node *n);
void tmp_put(struct node *n);
