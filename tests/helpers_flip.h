/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_flip.h - an image in memory, so that one bit of it at a time can be flipped. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FLIP_FILES 4u /* manifest.json, state.bin, memory.lz4; wset.bin where there is one */

struct flip_file {
	char path[300]; /* of the scratch copy */
	uint8_t *bytes;
	size_t size; /* 0: the image has no such file */
};

struct flip {
	char scratch[256];
	char dir[280]; /* the scratch copy of the image */
	struct flip_file files[FLIP_FILES];
	size_t size; /* bytes of all files */
};

/* Copy the image @dir to a scratch directory. Asserts. */
void flip_make(struct flip *f, const char *dir);
void flip_free(struct flip *f);

/* Flip bit @bit of byte @at, counted over all files; again to flip it back. Returns the file. */
const struct flip_file *flip_bit(struct flip *f, size_t at, unsigned int bit);
