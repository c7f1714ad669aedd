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

/* Hand the stored bytes of every frame that comes from @r to @use. */
static int for_each_frame(struct reader *r, const struct frames *f, use_frame *use, void *arg,
			  struct err *err)
{
	const void *stored;
	uint64_t i;
	int ret;

	while ((ret = reader_next(r, &i, &stored, err)) > 0) {
		ret = use(arg, f, i, stored, err);
		if (ret < 0)
			return ret;
	}
	return ret;
}

/* One of the threads that decode a list. */
struct decoder {
	const struct frames *f;
	const struct mem *dst;
	struct reader *reader;
	int ret;
	struct err err;
};

static int decoder_open(struct decoder *d, struct reader_list *list)
{
	d->reader = reader_open(d->f, list, &d->err);
	d->ret = d->reader ? 0 : -ENOMEM;
	return d->ret;
}

static int decode_one(void *arg, const struct frames *f, uint64_t i, const void *stored,
		      struct err *err)
{
	const struct decoder *d = arg;

	return unpack_to(f, i, stored, d->dst, err);
}

static void *decoder_run(void *arg)
{
	struct decoder *d = arg;

	d->ret = for_each_frame(d->reader, d->f, decode_one, d, &d->err);
	return NULL;
}

static bool is_worth_help(const struct frames *f, const struct reader_list *list)
{
	uint64_t pages = 0;

	for (uint64_t i = 0; i < list->n && pages < SHARE_MIN_PAGES; i++)
		pages += f->table[list->frames[i]].pages;
	return pages >= SHARE_MIN_PAGES && thread_cpus() > 1;
}

/*
 * Whoever is done takes what is next, so a helper that comes late does less. Nothing that it does
 * changes a mapping: it would sleep while the other thread does, and be woken on that one's CPU.
 */
int frames_decode_list(const struct frames *f, const uint64_t *list, uint64_t n,
		       const struct mem *dst, struct err *err)
{
	struct reader_list frames = { .frames = list, .n = n };
	struct decoder mine = { .f = f, .dst = dst }, helper = mine;
	pthread_t thread;
	bool helped = is_worth_help(f, &frames) && decoder_open(&helper, &frames) == 0 &&
		      thread_start(&thread, decoder_run, &helper) == 0;

	if (decoder_open(&mine, &frames) == 0)
		decoder_run(&mine);
	if (helped)
		pthread_join(thread, NULL);
	reader_close(mine.reader);
	reader_close(helper.reader);
	if (helper.ret < 0)
		mine = helper;
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
	struct reader_list all = { .frames = f->order, .n = f->header.nframes };
	struct reader *r = reader_open(f, &all, err);
	int ret = -ENOMEM;

	if (r && !v.pages)
		err_set(err, ENOMEM, "frame buffer: out of memory");
	else if (r)
		ret = for_each_frame(r, f, verify_one, &v, err);
	reader_close(r);
	free(v.pages);
	return ret;
}
