/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_writer.h - writing an image so that its directory is never seen half-written: it is
 * made beside the target as DIR.tmp-XXXXXX and takes the target's name when it is complete.
 * An image that is there already is exchanged for it in one step; anything else that is there
 * is refused before any work is done.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/format.h"
#include "snapshot/manifest.h"

struct err;
struct frames_page;
struct io_progress;
struct wset;

struct image_writer {
	int parent_fd;		 /* the directory that holds the image */
	int dirfd;		 /* the new image */
	char base[NAME_MAX + 1]; /* the image's own name */
	char tmp[NAME_MAX + 1];	 /* the name it has until it is complete */
	bool replace;		 /* there is an image of that name */
};

/*
 * image_writer_begin - make the temporary directory.
 * @dir: the image to write.
 * Errors: -EEXIST @dir is there and is not an image, or holds files that no image has;
 * -EINVAL @dir has no name of its own, as "/" and ".."; what mkdirat says.
 * A writer that failed needs no abort.
 */
int image_writer_begin(struct image_writer *w, const char *dir, struct err *err) must_check;

/* A new empty member for the caller to write and close. Returns its descriptor. */
int image_writer_create(struct image_writer *w, const char *member, struct err *err) must_check;

/* A new member with these bytes. */
int image_writer_put(struct image_writer *w, const char *member, const void *buf, size_t len,
		     struct err *err) must_check;

/*
 * image_writer_commit - give the image its name. After an error it is still to be aborted.
 * @sync: wait until all of it is on the disk, before the name and after it.
 */
int image_writer_commit(struct image_writer *w, bool sync, struct err *err) must_check;

/* Leave nothing behind. Also for a writer that was committed, where it does nothing. */
void image_writer_abort(struct image_writer *w);

/* All that makes an image. */
struct image_content {
	struct manifest *manifest; /* files and memory are filled in here */
	struct state_writer *state;
	const struct mem *mem;
	/* Of a layer, whose manifest names the parent: the pages that differ, as for
	 * frames_write_pages; @mem is only the layout then. */
	const struct frames_page *pages;
	size_t npages;
	const struct wset *wset; /* NULL, or without runs: no wset.bin, frames by address */
	const int
		*disk_fds; /* of each drive in the manifest: the bytes of its member, -1: none;
			      * NULL: of none */
	bool raw;	   /* also memory.raw */
	bool sync;	   /* as in image_writer_commit */
	const struct io_progress *progress; /* may be NULL; begins again with memory.raw */
};

/* image_write - write a whole image, or leave nothing behind. Errors: as the above. */
int image_write(const char *dir, const struct image_content *c, struct err *err) must_check;
