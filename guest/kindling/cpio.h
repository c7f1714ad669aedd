/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cpio.h - reading newc cpio archives, one after the other, as an initramfs has them: each
 * ends in a "TRAILER!!!" entry, zeros may follow. Every field is hostile. Plain C, so that a
 * host-side fuzzer can use it. Format: cpio(5), "New ASCII Format".
 */
#pragma once

#include <stdint.h>

#define CPIO_WHY_SIZE 160 /* bytes for the reason of a refusal */
#define CPIO_NAME_MAX 4096u

struct cpio_entry {
	const char *name;    /* in the archive, ends in NUL */
	uint32_t name_len;   /* without the NUL */
	uint32_t data;	     /* offset of the contents from the start of the archives */
	uint32_t size;	     /* bytes of contents: a file's bytes, a symbolic link's target */
	uint32_t mode;	     /* type and permissions, as in stat(2) */
	uint32_t mtime;	     /* seconds since 1970 */
	uint32_t ino, nlink; /* equal inos with nlink > 1 are one file; the last has the data */
};

struct cpio_walk {
	const uint8_t *bytes;
	uint64_t size; /* less than 4 GiB */
	uint64_t off;  /* where the next entry is looked for; start with 0 */
};

/*
 * cpio_next - the next entry, trailers skipped.
 * Returns 1 with @entry filled, 0 at the end, or -1 with the reason in @why (CPIO_WHY_SIZE
 * bytes).
 */
int cpio_next(struct cpio_walk *w, struct cpio_entry *entry, char *why);
