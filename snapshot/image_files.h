/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_files.h - between image.c and image_files.c only: the files of one directory, opened and
 * checked, without the images below it.
 */
#pragma once

#include "engine/util.h"
#include "snapshot/image.h"

/* Nothing open, nothing owned. */
void image_clear(struct image *img);

/* What sentences call it. */
void image_set_name(struct image *img, const char *dir);

/* @img: cleared, its name set. @dir counts from @at_fd. Errors: as image_open. image_files_close
 * is safe, and needed, after an error. */
int image_files_open(struct image *img, int at_fd, const char *dir, struct err *err) must_check;
void image_files_close(struct image *img);
