/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <stddef.h>

#include "guest/abi.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/contents.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/hook.h"
#include "guest/kindling/log.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/pipe.h"
#include "guest/kindling/random.h"
#include "guest/kindling/user.h"
#include "guest/kindling/wait.h"

#define IOV_COUNT_MAX 1024u	    /* UIO_MAXIOV */
#define IO_SIZE_MAX   0x7ffff000ull /* MAX_RW_COUNT: longer transfers are cut */

struct iovec {
	uint64_t base, len;
};

static int64_t read_input(void *buf, uint64_t size)
{
	int64_t n;

	mailbox()->log_size = size < ABI_WINDOW_LOG_SIZE ? size : ABI_WINDOW_LOG_SIZE;
	mailbox_ring(ABI_DOORBELL_INPUT);
	n = mailbox()->input_size;
	if (n > 0)
		memcpy(buf, mailbox_log(), (uint64_t)n);
	return n;
}

static int64_t read_text(struct file *f, void *buf, uint64_t size, uint64_t pos)
{
	uint64_t left = pos < f->count ? f->count - pos : 0;
	uint64_t n = size < left ? size : left;

	memcpy(buf, f->text + pos, n);
	return (int64_t)n;
}

/* Read what has positions, at one of them. */
static int64_t read_at(struct file *f, uint64_t buf, uint64_t size, uint64_t pos)
{
	if (f->kind == KIND_REGULAR)
		return (int64_t)contents_read(f->node, (void *)buf, size, pos);
	if (f->kind == KIND_TEXT)
		return read_text(f, (void *)buf, size, pos);
	return f->kind == KIND_DIRECTORY ? -EISDIR : -ESPIPE;
}

static int64_t write_at(struct file *f, uint64_t buf, uint64_t size, uint64_t pos)
{
	if (f->kind != KIND_REGULAR)
		return -ESPIPE;
	f->node->mtime_ns = (int64_t)clock_real_ns();
	return contents_write(f->node, (const void *)buf, size, pos);
}

/* Move a file's position behind @n bytes; errors leave it. */
static int64_t advance(struct file *f, int64_t n)
{
	if (n > 0)
		f->pos += (uint64_t)n;
	return n;
}

/* Read into a buffer that was checked. */
static int64_t read_into(struct file *f, uint64_t buf, uint64_t size)
{
	switch (f->kind) {
	case KIND_EVENT:
		return hook_read(buf, size);
	case KIND_INPUT:
		return read_input((void *)buf, size);
	case KIND_NULL:
		return 0;
	case KIND_ZERO:
	case KIND_FULL:
		memset((void *)buf, 0, size);
		return (int64_t)size;
	case KIND_RANDOM:
		random_fill((void *)buf, size);
		return (int64_t)size;
	case KIND_PIPE_IN:
		return pipe_read(f, (void *)buf, size);
	case KIND_COUNTER:
		return pipe_count_read(f, (void *)buf, size);
	case KIND_REGULAR:
	case KIND_TEXT:
	case KIND_DIRECTORY:
		return advance(f, read_at(f, buf, size, f->pos));
	case KIND_NONE:
	case KIND_LINK:
	case KIND_FD:
	case KIND_OTHER:
	case KIND_OUTPUT:
	case KIND_REPLY:
	case KIND_PIPE_OUT:
		break;
	}
	return -EBADF;
}

static int64_t write_from(struct file *f, uint64_t buf, uint64_t size)
{
	switch (f->kind) {
	case KIND_REPLY:
		return event_write(0, buf, size);
	case KIND_OUTPUT:
		log_write(f->stream, (const void *)buf, size);
		return (int64_t)size;
	case KIND_NULL:
	case KIND_ZERO:
	case KIND_RANDOM:
		return (int64_t)size;
	case KIND_FULL:
		return -ENOSPC;
	case KIND_PIPE_OUT:
		return pipe_write(f, (const void *)buf, size);
	case KIND_COUNTER:
		return pipe_count_write(f, (const void *)buf, size);
	case KIND_REGULAR:
		if (f->flags & O_APPEND)
			f->pos = f->node->size;
		return advance(f, write_at(f, buf, size, f->pos));
	case KIND_NONE:
	case KIND_DIRECTORY:
	case KIND_LINK:
	case KIND_TEXT:
	case KIND_FD:
	case KIND_OTHER:
	case KIND_INPUT:
	case KIND_EVENT:
	case KIND_PIPE_IN:
		break;
	}
	return -EBADF;
}

static uint64_t io_size(uint64_t size)
{
	return size < IO_SIZE_MAX ? size : IO_SIZE_MAX;
}

/* The result of a transfer; one that would wait ends the program. */
static int64_t io_end(const struct regs *r, int64_t n, const char *what)
{
	if (n == PIPE_WAIT)
		wait_forever(r, what);
	return n;
}

int64_t file_read(const struct regs *r)
{
	struct file *f = file_get_reader(r->rdi);

	if (!f)
		return -EBADF;
	if (!user_can_write(r->rsi, r->rdx))
		return -EFAULT;
	return r->rdx ? io_end(r, read_into(f, r->rsi, io_size(r->rdx)), "read") : 0;
}

int64_t file_write(const struct regs *r)
{
	struct file *f = file_get_writer(r->rdi);

	if (!f)
		return -EBADF;
	if (!user_can_read(r->rsi, r->rdx))
		return -EFAULT;
	return io_end(r, write_from(f, r->rsi, io_size(r->rdx)), "write");
}

int64_t file_pread(const struct regs *r)
{
	struct file *f = file_get_reader(r->rdi);

	if (!f)
		return -EBADF;
	if ((int64_t)r->r10 < 0)
		return -EINVAL;
	if (!user_can_write(r->rsi, r->rdx))
		return -EFAULT;
	return read_at(f, r->rsi, io_size(r->rdx), r->r10);
}

int64_t file_pwrite(const struct regs *r)
{
	struct file *f = file_get_writer(r->rdi);

	if (!f)
		return -EBADF;
	if ((int64_t)r->r10 < 0)
		return -EINVAL;
	if (!user_can_read(r->rsi, r->rdx))
		return -EFAULT;
	return write_at(f, r->rsi, io_size(r->rdx), r->r10);
}

/* ---- positions ---- */

/* The position of a regular file where data starts, or ends: holes count as data. */
static int64_t seek_data(const struct file *f, int64_t pos, uint64_t whence)
{
	if (pos < 0 || (uint64_t)pos >= f->node->size)
		return -ENXIO;
	return whence == SEEK_DATA ? pos : (int64_t)f->node->size;
}

int64_t file_seek(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	int64_t pos = (int64_t)r->rsi, base = 0;

	if (!f)
		return -EBADF;
	if (f->kind == KIND_EVENT && pos == 0 && r->rdx == SEEK_END)
		return (int64_t)event_size;
	if (f->kind != KIND_REGULAR && f->kind != KIND_DIRECTORY && f->kind != KIND_TEXT)
		return f->node ? 0 : -ESPIPE; /* devices have no position, and do not mind */
	if (r->rdx == SEEK_CUR)
		base = (int64_t)f->pos;
	else if (r->rdx == SEEK_END && f->kind == KIND_REGULAR)
		base = (int64_t)f->node->size;
	else if ((r->rdx == SEEK_DATA || r->rdx == SEEK_HOLE) && f->kind == KIND_REGULAR)
		pos = seek_data(f, pos, r->rdx);
	else if (r->rdx != SEEK_SET)
		return -EINVAL;
	if (pos == -ENXIO && r->rdx >= SEEK_DATA)
		return pos;
	if (__builtin_add_overflow(base, pos, &pos) || pos < 0)
		return -EINVAL;
	f->pos = (uint64_t)pos;
	return pos;
}

/* ---- vectors ---- */

/*
 * Check the vector of a readv or writev: every buffer, before anything moves.
 * Returns the bytes of all buffers, or -errno.
 */
static int64_t iov_check(const struct regs *r, int (*can)(uint64_t addr, uint64_t size))
{
	uint64_t total = 0;

	if (r->rdx > IOV_COUNT_MAX)
		return -EINVAL;
	for (uint64_t i = 0; i < r->rdx; i++) {
		struct iovec v;

		if (user_get(&v, r->rsi + i * sizeof(v), sizeof(v)) || !can(v.base, v.len))
			return -EFAULT;
		total += v.len;
		if (total > IO_SIZE_MAX)
			return -EINVAL;
	}
	return (int64_t)total;
}

/*
 * One after the other, until one is not filled or not taken whole. What is read may land in
 * the vector itself, so each entry is checked again when its turn comes.
 */
static int64_t iov_move(const struct regs *r, struct file *f,
			int (*can)(uint64_t addr, uint64_t size),
			int64_t (*move)(struct file *f, uint64_t buf, uint64_t size))
{
	int64_t done = 0;

	for (uint64_t i = 0; i < r->rdx; i++) {
		struct iovec v = ((const struct iovec *)r->rsi)[i];
		int64_t n;

		if (!v.len)
			continue;
		n = can(v.base, v.len) ? move(f, v.base, v.len) : -EFAULT;
		if (n < 0)
			return done ? done : n;
		done += n;
		if ((uint64_t)n < v.len || (f->kind == KIND_EVENT && !event_left))
			break;
	}
	return done;
}

int64_t file_readv(const struct regs *r)
{
	struct file *f = file_get_reader(r->rdi);
	int64_t total = f ? iov_check(r, user_can_write) : -EBADF;

	return total > 0 ? io_end(r, iov_move(r, f, user_can_write, read_into), "readv")
			 : total;
}

int64_t file_writev(const struct regs *r)
{
	struct file *f = file_get_writer(r->rdi);
	int64_t total = f ? iov_check(r, user_can_read) : -EBADF;

	if (total < 0)
		return total;
	if (f->kind == KIND_REPLY && (uint64_t)total > ABI_REPLY_MAX - reply_size)
		return -EMSGSIZE;
	return io_end(r,
		      total ? iov_move(r, f, user_can_read, write_from) : write_from(f, 0, 0),
		      "writev");
}

/* ---- from file to file ---- */

/* Up to @size bytes through a page on the stack. Returns bytes, or an error of the first. */
static int64_t send_bytes(struct file *out, struct file *in, uint64_t *pos, uint64_t size)
{
	uint8_t page[4096];
	uint64_t done = 0;

	while (done < size) {
		uint64_t part = size - done < sizeof(page) ? size - done : sizeof(page);
		int64_t n = read_at(in, (uintptr_t)page, part, *pos);
		int64_t m = n > 0 ? write_from(out, (uintptr_t)page, (uint64_t)n) : n;

		if (m <= 0)
			return done ? (int64_t)done : m;
		*pos += (uint64_t)m;
		done += (uint64_t)m;
		if (m < (int64_t)part)
			break;
	}
	return (int64_t)done;
}

/* sendfile(out, in, offset, size) */
int64_t file_send(const struct regs *r)
{
	struct file *out = file_get_writer(r->rdi), *in = file_get_reader(r->rsi);
	uint64_t pos, size = io_size(r->r10);
	int64_t n;

	if (!out || !in)
		return -EBADF;
	if (in->kind != KIND_REGULAR || out->kind == KIND_REPLY)
		return -EINVAL; /* as where Linux has no such way: callers read and write */
	if (!r->rdx)
		return io_end(r, send_bytes(out, in, &in->pos, size), "sendfile");
	if (user_get(&pos, r->rdx, sizeof(pos)) || !user_can_write(r->rdx, sizeof(pos)))
		return -EFAULT;
	if ((int64_t)pos < 0)
		return -EINVAL;
	n = io_end(r, send_bytes(out, in, &pos, size), "sendfile");
	return user_put(r->rdx, &pos, sizeof(pos)) ? -EFAULT : n;
}
