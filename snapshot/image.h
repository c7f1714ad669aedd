/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image.h - reading an image: a directory that holds one frozen machine. Opening checks all
 * that can be checked without reading memory and disks: that every member is a regular file
 * of the size that the manifest gives, and but for those of the digest, that state.bin is well
 * formed, and that every frame of memory.lz4 lies where it may. What is checked is a private
 * copy, so a file that changes afterwards changes nothing, except frames, which carry their own
 * CRCs, and what is read later: memory.raw (image_check_raw), drives' blocks (disks_open).
 * The directory is never written.
 *
 * The image of a layer owns its parent's, and so on to a whole image.
 *
 * Sentences of all errors begin with the directory and name the file. An open image may be
 * read by several threads, except .state: its loads take note of what was asked for.
 */
#pragma once

#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"
#include "snapshot/format.h"
#include "snapshot/frames.h"
#include "snapshot/identity.h"
#include "snapshot/manifest.h"
#include "snapshot/wset.h"

struct disk_choices;
struct err;
struct io_progress;

struct image {
	char name[100]; /* of the directory, for sentences: a long one loses its head */
	int dirfd;
	struct identity identity; /* of its files, when it was opened */
	struct manifest manifest;
	struct mem ram;	 /* the machine's regions, host pointers NULL */
	void *state_buf; /* owned; the bytes of state.bin */
	struct state_file state;
	int memory_fd;
	int direct_fd; /* memory.lz4 with O_DIRECT; -1: not to be had */
	struct frames frames;
	int raw_fd;			   /* memory.raw; -1: the image has none */
	int disk_fds[MANIFEST_MAX_DRIVES]; /* disk0.bin and so on; the same */
	struct wset wset;		   /* nruns 0: the image has none */
	const struct disk_choices
		*choices;     /* what a start says of drives; not owned; NULL: nothing */
	struct image *parent; /* owned; NULL: this one is no layer */
};

/* Ours: layers on layers. A start that decodes from a longer chain reads much in vain. */
#define IMAGE_MAX_LAYERS 8u

/* What image_verify looked at. */
struct image_report {
	uint64_t nsections;
	uint64_t nframes;
	uint64_t npages;      /* guest pages in the frames */
	uint64_t stored_size; /* bytes of memory.lz4 */
	uint64_t raw_size;    /* bytes of memory.raw; 0: there is none */
};

/*
 * image_open - open and check the image in @dir, and for a layer the images below it. They are
 * looked for beside the image that names them.
 * Errors: -ENOENT no such directory, one that is no image, or no parent there; -ENOTDIR;
 * -ERR_DAMAGED, also of a parent that is not what it was when the layer was made;
 * -ERR_UNFIT of another format version; -ENOMEM; what open and pread say.
 */
int image_open(struct image *img, const char *dir, struct err *err) must_check;

/* The same for a layer whose parent is in the directory @parent (NULL: beside it).
 * Errors: also -EINVAL @dir is no layer, or on another image. */
int image_open_layer(struct image *img, const char *dir, const char *parent,
		     struct err *err) must_check;
void image_close(struct image *img);

/* Are its files, and those below it, what they were when it was opened? Errors: -ESTALE. */
int image_check_files(const struct image *img, struct err *err) must_check;

/* Of it and all below it: at least as many as are in its memory and not zero. */
uint64_t image_stored_pages(const struct image *img);

/* How many layers there are in @img: 0 for a whole image. */
uint32_t image_layers(const struct image *img);

/* Read what was written to @img's drives: is it what the manifest says? Errors: as image_verify. */
int image_check_disks(const struct image *img, struct err *err) must_check;

/*
 * image_verify - after image_open: check also every frame, memory.raw and drives' blocks, by
 * their SHA-256, and those of the images below.
 * @progress: may be NULL; begins again with every file. @out: of @img alone; may be NULL.
 * Errors: -ERR_DAMAGED; -ENOMEM; what pread says.
 */
int image_verify(const struct image *img, const struct io_progress *progress,
		 struct image_report *out, struct err *err) must_check;

/*
 * image_decode_memory - all stored pages to where they belong in @dst, which has the image's
 * regions and is zero; of a layer first those of its parent. Errors: as frames_decode_all.
 */
int image_decode_memory(const struct image *img, const struct mem *dst,
			struct err *err) must_check;

/* The same for @n frames of @list. Errors: as frames_decode_list. */
int image_decode_list(const struct image *img, const uint64_t *list, uint64_t n,
		      const struct mem *dst, struct err *err) must_check;

/*
 * image_check_raw - may memory.raw be mapped? Reads all of it unless this host has done so
 * before. Only for an image that has one. Errors: as raw_check.
 */
int image_check_raw(const struct image *img, const struct io_progress *progress,
		    struct err *err) must_check;

/* Put "DIR/MEMBER: " before a sentence about a member. Returns @ret. */
int image_wrap(const struct image *img, enum manifest_member member, int ret, struct err *err);
