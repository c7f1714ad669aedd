/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>

#include "guest/kindling/archive.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/log.h"
#include "guest/kindling/mailbox.h"
#include "guest/kindling/random.h"
#include "guest/kindling/user.h"

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

static int64_t read_regular(const struct archive_file *node, void *buf, uint64_t size,
			    uint64_t pos)
{
	uint64_t left = pos < node->size ? node->size - pos : 0;
	uint64_t n = size < left ? size : left;

	memcpy(buf, archive_data(node) + pos, n);
	return (int64_t)n;
}

/* Read into a buffer that was checked, except from the event stream, which checks itself. */
static int64_t read_into(struct file *f, uint64_t buf, uint64_t size)
{
	int64_t n = (int64_t)size;

	switch (f->kind) {
	case FILE_EVENT:
		return event_read(0, buf, size);
	case FILE_INPUT:
		return read_input((void *)buf, size);
	case FILE_NULL:
		return 0;
	case FILE_ZERO:
		memset((void *)buf, 0, size);
		return n;
	case FILE_RANDOM:
		random_fill((void *)buf, size);
		return n;
	case FILE_REGULAR:
		n = read_regular(f->node, (void *)buf, size, f->pos);
		f->pos += (uint64_t)n;
		return n;
	case FILE_DIRECTORY:
		return -EISDIR;
	case FILE_OUTPUT:
	case FILE_REPLY:
	case FILE_CLOSED:
		break;
	}
	return -EBADF;
}

static int64_t write_from(struct file *f, uint64_t buf, uint64_t size)
{
	switch (f->kind) {
	case FILE_REPLY:
		return event_write(0, buf, size);
	case FILE_OUTPUT:
		log_write(f->stream, (const void *)buf, size);
		return (int64_t)size;
	case FILE_NULL:
	case FILE_ZERO:
	case FILE_RANDOM:
		return (int64_t)size;
	case FILE_INPUT:
	case FILE_EVENT:
	case FILE_REGULAR:
	case FILE_DIRECTORY:
	case FILE_CLOSED:
		break;
	}
	return -EBADF;
}

static uint64_t io_size(uint64_t size)
{
	return size < IO_SIZE_MAX ? size : IO_SIZE_MAX;
}

int64_t file_read(const struct regs *r)
{
	struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	if (!user_can_write(r->rsi, r->rdx))
		return -EFAULT;
	return r->rdx ? read_into(f, r->rsi, io_size(r->rdx)) : 0;
}

int64_t file_write(const struct regs *r)
{
	struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	if (!user_can_read(r->rsi, r->rdx))
		return -EFAULT;
	return write_from(f, r->rsi, io_size(r->rdx));
}

int64_t file_pread(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	if (f->kind == FILE_DIRECTORY)
		return -EISDIR;
	if (f->kind != FILE_REGULAR)
		return -ESPIPE;
	if ((int64_t)r->r10 < 0)
		return -EINVAL;
	if (!user_can_write(r->rsi, r->rdx))
		return -EFAULT;
	return read_regular(f->node, (void *)r->rsi, io_size(r->rdx), r->r10);
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

/* One after the other, until one is not filled or not taken whole. */
static int64_t iov_move(const struct regs *r, struct file *f,
			int64_t (*move)(struct file *f, uint64_t buf, uint64_t size))
{
	const struct iovec *v = (const struct iovec *)r->rsi;
	int64_t done = 0;

	for (uint64_t i = 0; i < r->rdx; i++) {
		int64_t n = v[i].len ? move(f, v[i].base, v[i].len) : 0;

		if (n < 0)
			return done ? done : n;
		done += n;
		if ((uint64_t)n < v[i].len || (f->kind == FILE_EVENT && !event_left))
			break;
	}
	return done;
}

int64_t file_readv(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	int64_t total = f ? iov_check(r, user_can_write) : -EBADF;

	return total > 0 ? iov_move(r, f, read_into) : total;
}

int64_t file_writev(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	int64_t total = f ? iov_check(r, user_can_read) : -EBADF;

	if (total < 0)
		return total;
	if (f->kind == FILE_REPLY && (uint64_t)total > ABI_REPLY_MAX - reply_size)
		return -EMSGSIZE;
	return total ? iov_move(r, f, write_from) : write_from(f, 0, 0);
}
