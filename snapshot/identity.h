/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity.h - which files an image was when it was opened: device, inode, size, mtime and
 * ctime of each that it has. Whoever makes something from an open image later (a template, a pool) is told
 * when there are other files at its path by then, or other bytes in them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine/util.h"
#include "snapshot/manifest.h"

struct err;

struct stat;

/* Its files: enum manifest_member, and the manifest itself. */
#define IDENTITY_MANIFEST ((unsigned int)MANIFEST_NMEMBERS)
#define IDENTITY_FILES	  (IDENTITY_MANIFEST + 1)

struct identity {
	char *dir; /* absolute path; owned */
	struct identity_file {
		uint64_t dev, ino; /* 0: the image has no such file */
		int64_t size;
		struct timespec mtime, ctime;
	} files[IDENTITY_FILES];
};

/* Of an image in the directory @dirfd, no file yet. Errors: -ENOMEM, what readlink says. */
int identity_init(struct identity *id, int dirfd, struct err *err) must_check;

/* It has this @file, which is open: @st is of that, from before it was read. */
void identity_note(struct identity *id, unsigned int file, const struct stat *st);
void identity_fini(struct identity *id);

/* The same files with the same bytes, whatever their paths? */
bool identity_same(const struct identity *a, const struct identity *b);

/* Errors: -ESTALE, with the file. */
int identity_check(const struct identity *id, struct err *err) must_check;

/* The same for one file that is open: one system call, no path. What was put in its place
 * since then shows, too: a file that loses a name has a new ctime. */
int identity_check_fd(const struct identity *id, enum manifest_member member, int fd,
		      struct err *err) must_check;
