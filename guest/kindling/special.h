/* SPDX-License-Identifier: Apache-2.0 */
/*
 * special.h - the files that are always there: /dev, /proc and the writable /tmp.
 */
#pragma once

#include <stdint.h>

struct node;

/* Make them. Before the archive, which cannot replace them. */
void special_init(void);

/* The text of a KIND_TEXT file as it is now: @size bytes at most. Returns its length. */
uint64_t special_text(const struct node *n, char *text, uint64_t size);
