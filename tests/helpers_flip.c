/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_flip.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/helpers_image.h"

static const char *const names[FLIP_FILES] = { "manifest.json", "state.bin", "memory.lz4",
					       "wset.bin" };

void flip_make(struct flip *f, const char *dir)
{
	*f = (struct flip){ 0 };
	scratch_make(f->scratch);
	snprintf(f->dir, sizeof(f->dir), "%s/image", f->scratch);
	cr_assert(eq(int, mkdir(f->dir, 0755), 0));
	for (size_t i = 0; i < FLIP_FILES; i++) {
		struct flip_file *file = &f->files[i];

		if (i == FLIP_FILES - 1 && access(scratch_path(dir, names[i]), F_OK) < 0)
			continue;
		file->bytes = bytes_read(scratch_path(dir, names[i]), &file->size);
		snprintf(file->path, sizeof(file->path), "%s/%s", f->dir, names[i]);
		bytes_write(file->path, file->bytes, file->size);
		f->size += file->size;
	}
}

void flip_free(struct flip *f)
{
	for (size_t i = 0; i < FLIP_FILES; i++)
		free(f->files[i].bytes);
	scratch_remove(f->scratch);
}

const struct flip_file *flip_bit(struct flip *f, size_t at, unsigned int bit)
{
	struct flip_file *file = f->files;
	int fd;

	while (at >= file->size)
		at -= (file++)->size;
	file->bytes[at] ^= (uint8_t)(1u << bit);
	fd = open(file->path, O_WRONLY | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	cr_assert(eq(sz, (size_t)pwrite(fd, &file->bytes[at], 1, (off_t)at), 1));
	close(fd);
	return file;
}
