/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG "reader"
#include "engine/err.h"
#include "engine/log.h"
#include "snapshot/frames.h"
#include "snapshot/io.h"

#define CHUNK_SIZE   (256u << 10) /* bytes of one read from a disk; ours */
#define CACHED_SIZE  (64u << 10)  /* of one from the page cache: what is copied stays near */
#define CHUNKS	     4u		  /* in flight */
#define ALIGNMENT    4096u	  /* of O_DIRECT, on every disk there is */
#define BUFFER_SIZE  (CHUNK_SIZE + 2 * ALIGNMENT)
#define BUFFERS_SIZE ((size_t)CHUNKS * BUFFER_SIZE)

_Static_assert(FRAMES_MAX_SIZE <= CACHED_SIZE, "a frame fits");

/* Frames that lie one behind the other in the file, and are read together. */
struct chunk {
	uint64_t pos;	/* in the list, of the next frame to hand out */
	uint64_t end;	/* behind its last frame */
	uint64_t off;	/* in the file, of the first byte in the buffer */
	uint32_t need;	/* bytes from there to the end of the last frame */
	uint32_t got;	/* of these; more when a read was rounded up */
	bool in_flight; /* with the ring */
};

struct reader {
	const struct frames *f;
	struct reader_list *list;
	uint64_t bytes;
	/* Chunk number k is chunks[k % depth], with the buffer of the same index. */
	uint64_t at, begun; /* numbers of the chunk that is handed out, and of the next one */
	uint32_t depth;
	uint32_t chunk_size; /* bytes of a chunk, at most */
	struct chunk chunks[CHUNKS];
	uint8_t *buffers; /* BUFFER_SIZE bytes each; where all is cached, the one behind this */
	struct io_uring ring;
	bool has_ring;
	uint8_t cached[];
};

static const struct frames_entry *entry(const struct reader *r, uint64_t pos)
{
	return &r->f->table[r->list->frames[pos]];
}

/* mincore starts no read, as preadv2(RWF_NOWAIT) does. What it may not tell it calls cached. */
static bool is_cached(const uint8_t *map, uint64_t off)
{
	unsigned char in = 1;

	/* Not written to: the prototype does not say so. */
	mincore((void *)(uintptr_t)(map + off - off % ALIGNMENT), 1, &in);
	return in & 1;
}

bool reader_is_cold(const struct frames *f, const uint64_t *list, uint64_t n)
{
	uint64_t size = 0;
	uint32_t missing = 0;
	uint8_t *map;

	if (n == 0 || io_file_size(f->fd, &size, NULL) < 0)
		return false;
	map = mmap(NULL, size, PROT_NONE, MAP_SHARED, f->fd, 0); /* never touched */
	if (map == MAP_FAILED)
		return false;
	/* Not the first one: opening the image may have read it along with the table. */
	for (uint64_t i = 1; i <= 3; i++)
		missing += !is_cached(map, f->table[list[(n - 1) * i / 3]].offset);
	munmap(map, size);
	return missing >= 2;
}

/* ---- the ring ---- */

/* From here on it reads from the registered file into registered buffers, and nothing else. */
static int ring_restrict(struct io_uring *ring)
{
	struct io_uring_restriction res[] = {
		{ .opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READ_FIXED },
		{ .opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED,
		  .sqe_flags = IOSQE_FIXED_FILE },
	};
	int fd = ring->ring_fd;

	/* Not by liburing: the shared library of 2.3 (Debian 12) lacks these two functions. */
	if (syscall(SYS_io_uring_register, fd, IORING_REGISTER_RESTRICTIONS, res,
		    ARRAY_SIZE(res)) < 0 ||
	    syscall(SYS_io_uring_register, fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0) < 0)
		return -errno;
	return 0;
}

static int ring_register(struct reader *r)
{
	struct iovec iov[CHUNKS];
	int fd = r->f->direct_fd >= 0 ? r->f->direct_fd : r->f->fd;
	int ret;

	for (uint32_t i = 0; i < CHUNKS; i++)
		iov[i] = (struct iovec){ .iov_base = r->buffers + (size_t)i * BUFFER_SIZE,
					 .iov_len = BUFFER_SIZE };
	ret = io_uring_register_buffers(&r->ring, iov, CHUNKS);
	if (ret == 0)
		ret = io_uring_register_files(&r->ring, &fd, 1);
	return ret < 0 ? ret : ring_restrict(&r->ring);
}

static int ring_open(struct reader *r)
{
	int ret = io_uring_queue_init(CHUNKS, &r->ring, IORING_SETUP_R_DISABLED);

	if (ret < 0)
		return ret;
	ret = ring_register(r);
	if (ret < 0)
		io_uring_queue_exit(&r->ring);
	r->has_ring = ret == 0;
	return ret;
}

static void ring_read(struct reader *r, uint32_t index)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
	struct chunk *c = &r->chunks[index];

	if (!sqe)
		return; /* cannot be: as many entries as chunks */
	io_uring_prep_read_fixed(sqe, 0, r->buffers + (size_t)index * BUFFER_SIZE,
				 ALIGN_UP(c->need, ALIGNMENT), c->off, (int)index);
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data64(sqe, index);
	c->in_flight = io_uring_submit(&r->ring) == 1;
}

/* Take one read that is done off the ring. Bytes that did not come are read another way. */
static int ring_reap(struct reader *r, struct err *err)
{
	struct io_uring_cqe *cqe;
	struct chunk *c;
	int ret;

	do {
		ret = io_uring_wait_cqe(&r->ring, &cqe);
	} while (ret == -EINTR);
	if (ret < 0)
		return err_set(err, -ret, "wait for io_uring: %s", strerrordesc_np(-ret));
	c = &r->chunks[io_uring_cqe_get_data64(cqe)];
	c->got = (uint32_t)MAX(cqe->res, 0);
	c->in_flight = false;
	io_uring_cqe_seen(&r->ring, cqe);
	return 0;
}

/* ---- chunks ---- */

/* As many frames of the list as follow each other and fit. Returns whether any are left. */
static bool chunk_take(struct reader *r, struct chunk *c)
{
	struct reader_list *l = r->list;
	uint64_t pos = __atomic_load_n(&l->taken, __ATOMIC_RELAXED), end, from, to;

	do {
		if (pos == l->n)
			return false;
		from = to = entry(r, pos)->offset;
		for (end = pos; end < l->n && entry(r, end)->offset == to &&
				to + entry(r, end)->stored - from <= r->chunk_size;
		     end++)
			to += entry(r, end)->stored;
	} while (!__atomic_compare_exchange_n(&l->taken, &pos, end, true, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	*c = (struct chunk){
		.pos = pos, .end = end, .off = from, .need = (uint32_t)(to - from)
	};
	return true;
}

/* Take a chunk; its read begins, where there is a ring. Returns whether any was left. */
static bool chunk_begin(struct reader *r)
{
	uint32_t index = (uint32_t)(r->begun % r->depth);
	struct chunk *c = &r->chunks[index];

	if (!chunk_take(r, c))
		return false;
	r->begun++;
	if (r->has_ring) {
		c->need += c->off % ALIGNMENT;
		c->off -= c->off % ALIGNMENT;
		ring_read(r, index);
	}
	r->bytes += c->need;
	return true;
}

static int chunk_finish(struct reader *r, uint32_t index, struct err *err)
{
	struct chunk *c = &r->chunks[index];
	int ret = 0;

	while (ret == 0 && c->in_flight)
		ret = ring_reap(r, err);
	if (ret < 0 || c->got >= c->need)
		return ret;
	ret = io_read(r->f->fd, r->buffers + (size_t)index * BUFFER_SIZE + c->got,
		      c->need - c->got, c->off + c->got, err);
	c->got = c->need;
	return ret;
}

/* ---- the reader ---- */

static int buffers_map(struct reader *r, struct err *err)
{
	void *p = mmap(NULL, BUFFERS_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		return err_sys(err, "map %zu bytes of read buffers", BUFFERS_SIZE);
	r->buffers = p;
	return 0;
}

static void choose_way(struct reader *r)
{
	int ret = ring_open(r);

	if (ret == 0) {
		log_debug("cold: io_uring%s", r->f->direct_fd >= 0 ? ", O_DIRECT" : "");
		return;
	}
	log_debug("cold: pread, io_uring is not to be had: %s", strerrordesc_np(-ret));
	r->depth = 1;
	posix_fadvise(r->f->fd, (off_t)entry(r, 0)->offset,
		      (off_t)(entry(r, r->list->n - 1)->offset - entry(r, 0)->offset),
		      POSIX_FADV_WILLNEED);
}

/* For a cached file, all is one piece of the heap, most likely one that was used before: new pages
 * are a good part of what a short list costs. */
static struct reader *reader_make(bool cold, struct err *err)
{
	struct reader *r = malloc(sizeof(*r) + (cold ? 0 : CACHED_SIZE));

	if (!r) {
		err_set(err, ENOMEM, "reader: out of memory");
		return NULL;
	}
	*r = (struct reader){ .depth = cold ? CHUNKS : 1,
			      .chunk_size = cold ? CHUNK_SIZE : CACHED_SIZE,
			      .buffers = r->cached };
	if (cold && buffers_map(r, err) < 0) {
		free(r);
		return NULL;
	}
	return r;
}

struct reader *reader_open(const struct frames *f, struct reader_list *list, struct err *err)
{
	bool cold = reader_is_cold(f, list->frames, list->n);
	struct reader *r = reader_make(cold, err);

	if (!r)
		return NULL;
	r->f = f;
	r->list = list;
	if (cold)
		choose_way(r);
	return r;
}

void reader_close(struct reader *r)
{
	if (!r)
		return;
	/* Reads in flight end in pages that the ring holds, not in what is mapped here next. */
	if (r->has_ring)
		io_uring_queue_exit(&r->ring);
	if (r->buffers != r->cached)
		munmap(r->buffers, BUFFERS_SIZE);
	free(r);
}

int reader_next(struct reader *r, uint64_t *frame, const void **stored, struct err *err)
{
	uint32_t index = (uint32_t)(r->at % r->depth);
	struct chunk *c;
	int ret;

	if (r->at < r->begun && r->chunks[index].pos == r->chunks[index].end)
		r->at++; /* what was handed out is used up: its buffer is free */
	while (r->begun - r->at < r->depth && chunk_begin(r))
		;
	if (r->at == r->begun)
		return 0;
	index = (uint32_t)(r->at % r->depth);
	c = &r->chunks[index];
	ret = chunk_finish(r, index, err);
	if (ret < 0)
		return ret;
	*stored =
		r->buffers + (size_t)index * BUFFER_SIZE + (entry(r, c->pos)->offset - c->off);
	*frame = r->list->frames[c->pos++];
	return 1;
}

uint64_t reader_bytes(const struct reader *r)
{
	return r->bytes;
}
