/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/pipe.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/poll.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/file.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/signal.h"
#include "guest/kindling/user.h"

#define PIPE_SIZE  65536u /* as Linux */
#define PIPE_PAGES (PIPE_SIZE / LAYOUT_PAGE + 1)
#define PIPE_BUF   4096u /* writes of so many bytes are not divided, as Linux */
#define COUNT_MAX  (UINT64_MAX - 1)

/* eventfd(2): the C library's header says them, the kernel's does not everywhere. */
#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC   ((uint32_t)O_CLOEXEC)
#define EFD_NONBLOCK  ((uint32_t)O_NONBLOCK)

struct pipe {
	uint32_t start, len; /* of what is in it */
	uint8_t in, out;     /* is this end open? */
	uint8_t data[] __attribute__((aligned(LAYOUT_PAGE)));
};

static uint64_t min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void pipe_close(const struct file *f)
{
	struct pipe *p = f->pipe;

	if (f->kind == KIND_PIPE_IN)
		p->in = 0;
	else
		p->out = 0;
	if (!p->in && !p->out)
		memory_give_back(p, PIPE_PAGES);
}

static int64_t or_wait(const struct file *f)
{
	return f->flags & O_NONBLOCK ? -EAGAIN : PIPE_WAIT;
}

int64_t pipe_read(struct file *f, void *buf, uint64_t size)
{
	struct pipe *p = f->pipe;
	uint64_t n = min(size, p->len), first = min(n, PIPE_SIZE - p->start);

	if (p->len == 0)
		return p->out ? or_wait(f) : 0;
	memcpy(buf, p->data + p->start, first);
	memcpy((uint8_t *)buf + first, p->data, n - first);
	p->start = (uint32_t)((p->start + n) % PIPE_SIZE);
	p->len -= (uint32_t)n;
	return (int64_t)n;
}

int64_t pipe_write(struct file *f, const void *buf, uint64_t size)
{
	static const struct signal_event broken = { .number = SIGPIPE, .code = SI_USER };
	struct pipe *p = f->pipe;
	uint64_t room = PIPE_SIZE - p->len, n = min(size, room);
	uint64_t at = (p->start + p->len) % PIPE_SIZE, first = min(n, PIPE_SIZE - at);

	if (!p->in) {
		signal_post(&broken);
		return -EPIPE;
	}
	/* What does not fit would wait for a reader; a part of it can go without waiting. */
	if (n < size && (n == 0 || size <= PIPE_BUF || !(f->flags & O_NONBLOCK)))
		return or_wait(f);
	memcpy(p->data + at, buf, first);
	memcpy(p->data, (const uint8_t *)buf + first, n - first);
	p->len += (uint32_t)n;
	return (int64_t)n;
}

int64_t pipe_count_read(struct file *f, void *buf, uint64_t size)
{
	uint64_t value = f->stream & EFD_SEMAPHORE ? 1 : f->count;

	if (size < sizeof(value))
		return -EINVAL;
	if (f->count == 0)
		return or_wait(f);
	f->count -= value;
	memcpy(buf, &value, sizeof(value));
	return sizeof(value);
}

int64_t pipe_count_write(struct file *f, const void *buf, uint64_t size)
{
	uint64_t value;

	if (size < sizeof(value))
		return -EINVAL;
	memcpy(&value, buf, sizeof(value));
	if (value > COUNT_MAX)
		return -EINVAL;
	if (value > COUNT_MAX - f->count)
		return or_wait(f);
	f->count += value;
	return sizeof(value);
}

uint32_t pipe_events(const struct file *f)
{
	const struct pipe *p = f->pipe;

	if (f->kind == KIND_COUNTER)
		return (f->count ? POLLIN : 0u) | (f->count < COUNT_MAX ? POLLOUT : 0u);
	if (f->kind == KIND_PIPE_IN)
		return (p->len ? POLLIN : 0u) | (p->out ? 0u : POLLHUP);
	return (PIPE_SIZE - p->len >= PIPE_BUF ? POLLOUT : 0u) | (p->in ? 0u : POLLERR);
}

/* ---- making ---- */

/* An open file with its descriptor. Returns that or -EMFILE. */
static int64_t open_end(enum kind kind, uint32_t flags, struct pipe *p)
{
	struct file *f = file_new(kind, flags);
	int64_t fd;

	if (!f)
		return -EMFILE;
	f->pipe = p;
	fd = file_add(f, 0, (flags & O_CLOEXEC) != 0);
	if (fd < 0)
		*f = (struct file){ 0 };
	return fd;
}

static int64_t make(uint64_t addr, uint64_t flags)
{
	struct pipe *p;
	int64_t in, out;
	int32_t pair[2];

	if (flags & ~(uint64_t)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (!user_can_write(addr, sizeof(pair)))
		return -EFAULT;
	p = memory_take(PIPE_PAGES);
	if (!p)
		return -ENFILE;
	in = open_end(KIND_PIPE_IN, (uint32_t)flags | O_RDONLY, p);
	if (in < 0) {
		memory_give_back(p, PIPE_PAGES);
		return in;
	}
	p->in = 1;
	out = open_end(KIND_PIPE_OUT, (uint32_t)flags | O_WRONLY, p);
	if (out < 0) {
		file_drop((uint64_t)in);
		return out;
	}
	p->out = 1;
	pair[0] = (int32_t)in;
	pair[1] = (int32_t)out;
	return user_put(addr, pair, sizeof(pair));
}

int64_t pipe_make(const struct regs *r)
{
	return make(r->rdi, 0);
}

int64_t pipe_make2(const struct regs *r)
{
	return make(r->rdi, r->rsi);
}

static int64_t count_make(uint64_t value, uint64_t flags)
{
	int64_t fd;
	struct file *f;

	if (flags & ~(uint64_t)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	fd = open_end(KIND_COUNTER, (uint32_t)flags | O_RDWR, NULL);
	f = fd < 0 ? NULL : file_get((uint64_t)fd);
	if (f) {
		f->count = (uint32_t)value;
		f->stream = flags & EFD_SEMAPHORE;
	}
	return fd;
}

int64_t pipe_count(const struct regs *r)
{
	return count_make(r->rdi, 0);
}

int64_t pipe_count2(const struct regs *r)
{
	return count_make(r->rdi, r->rsi);
}
