/* SPDX-License-Identifier: Apache-2.0 */
/*
 * helpers_image.h - what tests of images share: a scratch directory, files as bytes, and one
 * small machine to make images of. Helpers assert: a test cannot go on without them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/mem.h"
#include "snapshot/format.h"
#include "snapshot/manifest.h"

/* A new directory in $TMPDIR or /tmp; and all of it away again. */
void scratch_make(char path[256]);
void scratch_remove(const char *path);

/* "DIR/NAME", in one of a few buffers that are used in turn. */
const char *scratch_path(const char *dir, const char *name);

/* A whole small file; the caller frees. */
uint8_t *bytes_read(const char *path, size_t *len);
void bytes_write(const char *path, const void *buf, size_t len);
/* A file without a name that holds these bytes. */
int bytes_memfd(const void *buf, size_t len);

/* Does the directory @dir hold exactly @n entries? */
int entries_in(const char *dir);

/* Two regions of 2 MiB with 40 pages in use: compressible, not compressible, runs over
 * 64 KiB boundaries, the first and the last page. mem_unmap gives it back. */
#define SAMPLE_PAGES 40u
void sample_mem(struct mem *m);
/* The same regions, all zero. */
void sample_mem_empty(struct mem *m);
/* Do both hold the same bytes? */
int sample_mem_equal(const struct mem *a, const struct mem *b);

/* A manifest with all keys that a machine has; files and memory are not set. */
void sample_manifest(struct manifest *m);

/* Three sections: "clock"[0] and two elements of "vcpu.regs"[0], and "note"[0], optional. */
struct sample_clock {
	uint64_t ns;
	uint32_t flags;
	uint32_t shift; /* at most 32 */
};
struct sample_regs {
	uint64_t rip;
	uint8_t bytes[8];
};
extern const struct state_desc sample_clock_desc;
extern const struct state_desc sample_regs_desc;
extern const struct sample_clock sample_clock;
extern const struct sample_regs sample_regs[2];
void sample_state(struct state_writer *w);
