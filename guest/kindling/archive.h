/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - the files that the host placed in RAM as cpio archives become nodes of the tree.
 * A later entry of the same name replaces an earlier one; directories that no archive lists
 * exist when something is in them.
 */
#pragma once

#include <stdint.h>

/* Read the archives, @size bytes at @bytes, where they stay. Ends the machine with a sentence
 * if they are damaged. */
void archive_init(const uint8_t *bytes, uint64_t size);
