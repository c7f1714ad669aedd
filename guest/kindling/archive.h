/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - the program's read-only file tree: an index over the cpio archives that the host
 * placed in RAM. A later entry of the same name replaces an earlier one; directories that no
 * archive lists exist when something is in them.
 */
#pragma once

#include <stdint.h>

#define ARCHIVE_PATH_MAX 4096u /* bytes with the NUL, as Linux */

/* Offsets count from the start of the archives. The name has no leading slash; the root's is
 * empty. */
struct archive_file {
	uint32_t name, name_len, hash;
	uint32_t data, size; /* contents: bytes of a file, the target of a symbolic link */
	uint32_t mode;	     /* type and permissions, as in stat(2) */
	uint32_t mtime, ino, nlink;
};

/* Read the archives, @size bytes at @bytes, and make the index with tables_take. Ends the
 * machine with a sentence if they are damaged. */
void archive_init(const uint8_t *bytes, uint64_t size);

/*
 * archive_open - the file at @path, from the root whether or not it starts with a slash.
 * @follow: also when the last part is a symbolic link.
 * Returns 0, -ENOENT, -ENOTDIR, -ELOOP or -ENAMETOOLONG.
 */
int archive_open(const char *path, int follow, const struct archive_file **file);

const char *archive_name(const struct archive_file *f);
const uint8_t *archive_data(const struct archive_file *f);

/*
 * archive_child - go through a directory.
 * @cookie: 0 at the start; then what the last call left there.
 * Returns the next child, or NULL at the end. Its own name is the last part of archive_name.
 */
const struct archive_file *archive_child(const struct archive_file *dir, uint64_t *cookie);
