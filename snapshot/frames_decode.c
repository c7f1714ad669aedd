/* SPDX-License-Identifier: Apache-2.0 */
/* frames_decode.c - from stored bytes to guest pages: one frame, a list of them, all. */
#include <errno.h>
#include <inttypes.h>
#include <lz4.h>
#include <pthread.h>
#include <string.h>

#include "engine/err.h"
#include "engine/thread.h"
#include "engine/util.h"
#include "snapshot/frames.h"
#include "snapshot/io.h"
#include "snapshot/reader.h"

/* Ours: fewer pages than these are not worth starting a thread. */
#define SHARE_MIN_PAGES 512u

int frames_unpack(const struct frames *f, uint64_t i, const void *stored, void *pages,
		  struct err *err)
{
	const struct frames_entry *e = &f->table[i];
	uint32_t crc = digest_crc32c(0, stored, e->stored);
	int size = (int)frames_size(e);
	int n;

	if (crc != e->crc32c)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at offset %" PRIu64
			       ": crc32c is 0x%08x, expected 0x%08x",
			       i, e->offset, crc, e->crc32c);
	if (e->flags == FRAMES_RAW) {
		memcpy(pages, stored, e->stored);
		return 0;
	}
	n = LZ4_decompress_safe(stored, pages, (int)e->stored, size);
	if (n != size)
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at offset %" PRIu64
			       ": lz4 data do not give the %d bytes of its pages",
			       i, e->offset, size);
	return 0;
}

static int unpack_to(const struct frames *f, uint64_t i, const void *stored,
		     const struct mem *dst, struct err *err)
{
	const struct frames_entry *e = &f->table[i];
	void *pages = mem_at(dst, e->gpa, frames_size(e));

	if (!pages)
		return err_set(err, ERANGE,
			       "frame %" PRIu64 ": no memory at guest address 0x%" PRIx64, i,
			       e->gpa);
	return frames_unpack(f, i, stored, pages, err);
}

int frames_decode(const struct frames *f, uint64_t i, void *scratch, const struct mem *dst,
		  struct err *err)
{
	const struct frames_entry *e = &f->table[i];
	int ret = io_read(f->fd, scratch, e->stored, e->offset, err);

	return ret < 0 ? ret : unpack_to(f, i, scratch, dst, err);
}

typedef int use_frame(void *arg, const struct frames *f, uint64_t i, const void *stored,
		      struct err *err);

/* Hand the stored bytes of every frame of @list to @use, in that order. */
static int for_each_frame(const struct frames *f, const uint64_t *list, uint64_t n,
			  use_frame *use, void *arg, struct err *err)
{
	struct reader *r = reader_open(f, list, n, err);
	const void *stored;
	uint64_t i;
	int ret;

	if (!r)
		return -ENOMEM;
	while ((ret = reader_next(r, &i, &stored, err)) > 0) {
		ret = use(arg, f, i, stored, err);
		if (ret < 0)
			break;
	}
	reader_close(r);
	return ret;
}

/* What one thread decodes. */
struct share {
	const struct frames *f;
	const uint64_t *list;
	uint64_t n;
	const struct mem *dst;
	int ret;
	struct err err;
};

static int decode_one(void *arg, const struct frames *f, uint64_t i, const void *stored,
		      struct err *err)
{
	const struct share *s = arg;

	return unpack_to(f, i, stored, s->dst, err);
}

static void *decode_share(void *arg)
{
	struct share *s = arg;

	s->ret = for_each_frame(s->f, s->list, s->n, decode_one, s, &s->err);
	return NULL;
}

/* How many frames from the start of the list have half of its pages; 0: too few to share. */
static uint64_t half_of(const struct frames *f, const uint64_t *list, uint64_t n)
{
	uint64_t pages = 0, half = 0, i;

	for (i = 0; i < n; i++)
		pages += f->table[list[i]].pages;
	if (pages < SHARE_MIN_PAGES || !thread_has_company())
		return 0;
	for (i = 0; half < pages / 2; i++)
		half += f->table[list[i]].pages;
	return i;
}

int frames_decode_list(const struct frames *f, const uint64_t *list, uint64_t n,
		       const struct mem *dst, struct err *err)
{
	uint64_t half = half_of(f, list, n);
	struct share theirs = { .f = f, .list = list, .n = half, .dst = dst };
	struct share mine = { .f = f, .list = list + half, .n = n - half, .dst = dst };
	pthread_t thread;
	bool shared = half > 0 && thread_start(&thread, decode_share, &theirs) == 0;

	if (!shared)
		decode_share(&theirs);
	decode_share(&mine);
	if (shared)
		pthread_join(thread, NULL);
	if (theirs.ret < 0)
		mine = theirs;
	if (mine.ret < 0 && err)
		*err = mine.err;
	return mine.ret;
}

int frames_decode_all(const struct frames *f, const struct mem *dst, struct err *err)
{
	return frames_decode_list(f, f->order, f->header.nframes, dst, err);
}

struct verify {
	uint8_t *pages;	    /* FRAMES_MAX_SIZE bytes */
	uint64_t done_size; /* bytes of guest memory */
	const struct io_progress *progress;
};

static int verify_one(void *arg, const struct frames *f, uint64_t i, const void *stored,
		      struct err *err)
{
	const struct frames_entry *e = &f->table[i];
	struct verify *v = arg;
	struct digest is;
	int ret = frames_unpack(f, i, stored, v->pages, err);

	if (ret == 0)
		ret = digest_of(&is, v->pages, frames_size(e), err);
	if (ret < 0)
		return ret;
	if (!digest_equal(&is, &e->sha256))
		return err_set(err, ERR_DAMAGED,
			       "frame %" PRIu64 " at offset %" PRIu64
			       ": its pages do not have the sha256 of the table",
			       i, e->offset);
	v->done_size += frames_size(e);
	io_step(v->progress, v->done_size, f->header.npages * MEM_PAGE_SIZE);
	return 0;
}

int frames_verify(const struct frames *f, const struct io_progress *progress, struct err *err)
{
	struct verify v = { .pages = malloc(FRAMES_MAX_SIZE), .progress = progress };
	int ret;

	if (!v.pages)
		return err_set(err, ENOMEM, "frame buffer: out of memory");
	ret = for_each_frame(f, f->order, f->header.nframes, verify_one, &v, err);
	free(v.pages);
	return ret;
}
