/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_map.h - the guest memory of an image as a picture: one square a page, 2 MiB a block of
 * 32 x 16 of them, blocks in rows of rising address, and a legend.
 */
#pragma once

#include "engine/util.h"

struct err;
struct image;

#define MEMORY_MAP_MAX_RAM (64ull << 30) /* bytes; ours: a square of a page stays a pixel */

/*
 * memory_map_write - draw @img to the file @path, which is made or written over.
 * Errors: -EFBIG more than MEMORY_MAP_MAX_RAM; -ENOMEM; what fopen and fwrite say.
 */
int memory_map_write(const struct image *img, const char *path, struct err *err) must_check;
