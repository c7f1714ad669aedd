/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/close_range.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <stddef.h>

#include "guest/abi.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/pipe.h"
#include "guest/kindling/tmp.h"
#include "guest/kindling/user.h"

#define FLAGS_SETTABLE ((uint32_t)(O_APPEND | O_NONBLOCK))

static struct file open_files[FILE_MAX];

static struct {
	struct file *file; /* NULL: closed */
	uint8_t cloexec;
} fds[FILE_MAX];

void file_init(int terminal)
{
	static const struct file first[] = {
		{ .kind = KIND_INPUT, .flags = O_RDONLY, .refs = 1 },
		{ .kind = KIND_OUTPUT, .flags = O_WRONLY, .refs = 1, .stream = ABI_LOG_STDOUT },
		{ .kind = KIND_OUTPUT, .flags = O_WRONLY, .refs = 1, .stream = ABI_LOG_STDERR },
		{ .kind = KIND_EVENT, .flags = O_RDONLY, .refs = 1 },
		{ .kind = KIND_REPLY, .flags = O_WRONLY, .refs = 1 },
	};

	for (unsigned int i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		open_files[i] = first[i];
		fds[i].file = &open_files[i];
	}
	if (!terminal)
		open_files[0].kind = KIND_NULL;
}

struct file *file_get(uint64_t fd)
{
	return (uint32_t)fd < FILE_MAX ? fds[(uint32_t)fd].file : NULL;
}

struct file *file_get_reader(uint64_t fd)
{
	struct file *f = file_get(fd);

	return f && (f->flags & O_ACCMODE) != O_WRONLY ? f : NULL;
}

struct file *file_get_writer(uint64_t fd)
{
	struct file *f = file_get(fd);

	return f && (f->flags & O_ACCMODE) != O_RDONLY ? f : NULL;
}

int file_mappable(uint64_t fd, const struct node **n)
{
	const struct file *f = file_get(fd);

	if (!f)
		return -EBADF;
	if (f->kind != KIND_REGULAR)
		return -ENODEV;
	if ((f->flags & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	*n = f->node;
	return 0;
}

/* ---- descriptors ---- */

/* entry.S serves the streams itself as long as their usual descriptors lead to them. */
static void fds_changed(void)
{
	event_fd = fds[3].file && fds[3].file->kind == KIND_EVENT ? 3 : UINT64_MAX;
	reply_fd = fds[4].file && fds[4].file->kind == KIND_REPLY ? 4 : UINT64_MAX;
}

static void file_release(struct file *f)
{
	if (--f->refs)
		return;
	if (f->pipe)
		pipe_close(f);
	memory_give_back(f->text, 1);
	tmp_put(f->node);
	*f = (struct file){ 0 };
}

static void fd_set(uint32_t fd, struct file *f, int cloexec)
{
	struct file *old = fds[fd].file;

	f->refs++;
	fds[fd].file = f;
	fds[fd].cloexec = cloexec != 0;
	if (old)
		file_release(old);
	fds_changed();
}

struct file *file_new(enum kind kind, uint32_t flags)
{
	for (struct file *f = open_files; f < open_files + FILE_MAX; f++)
		if (f->kind == KIND_NONE) {
			*f = (struct file){ .kind = kind,
					    .flags = flags & (O_ACCMODE | FLAGS_SETTABLE) };
			return f;
		}
	return NULL;
}

int64_t file_add(struct file *f, uint64_t from, int cloexec)
{
	for (uint64_t fd = from; fd < FILE_MAX; fd++)
		if (!fds[fd].file) {
			fd_set((uint32_t)fd, f, cloexec);
			return (int64_t)fd;
		}
	return -EMFILE;
}

void file_drop(uint64_t fd)
{
	struct file *f = fds[(uint32_t)fd].file;

	fds[(uint32_t)fd].file = NULL;
	file_release(f);
	fds_changed();
}

int64_t file_close(const struct regs *r)
{
	if (!file_get(r->rdi))
		return -EBADF;
	file_drop(r->rdi);
	return 0;
}

/* close_range(first, last, flags) */
int64_t file_close_range(const struct regs *r)
{
	uint32_t first = (uint32_t)r->rdi, last = (uint32_t)r->rsi;

	if (first > last || r->rdx & ~(uint64_t)(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE))
		return -EINVAL;
	for (uint32_t fd = first; fd < FILE_MAX && fd <= last; fd++) {
		if (r->rdx & CLOSE_RANGE_CLOEXEC)
			fds[fd].cloexec = 1;
		else if (fds[fd].file)
			file_drop(fd);
	}
	return 0;
}

int64_t file_dup(const struct regs *r)
{
	struct file *f = file_get(r->rdi);

	return f ? file_add(f, 0, 0) : -EBADF;
}

static int64_t dup_to(uint64_t old, uint64_t new, int cloexec)
{
	struct file *f = file_get(old);

	if (!f || (uint32_t) new >= FILE_MAX)
		return -EBADF;
	fd_set((uint32_t) new, f, cloexec);
	return (uint32_t) new;
}

int64_t file_dup2(const struct regs *r)
{
	if ((uint32_t)r->rdi == (uint32_t)r->rsi)
		return file_get(r->rdi) ? (int64_t)(uint32_t)r->rdi : -EBADF;
	return dup_to(r->rdi, r->rsi, 0);
}

int64_t file_dup3(const struct regs *r)
{
	if ((uint32_t)r->rdi == (uint32_t)r->rsi || r->rdx & ~(uint64_t)O_CLOEXEC)
		return -EINVAL;
	return dup_to(r->rdi, r->rsi, (r->rdx & O_CLOEXEC) != 0);
}

/* F_GETLK: nobody else holds a lock. */
static int64_t lock_get(uint64_t addr)
{
	struct flock lock;

	if (user_get(&lock, addr, sizeof(lock)))
		return -EFAULT;
	lock.l_type = F_UNLCK;
	return user_put(addr, &lock, sizeof(lock));
}

int64_t file_control(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	uint32_t fd = (uint32_t)r->rdi;

	if (!f)
		return -EBADF;
	switch (r->rsi) {
	case F_GETFD:
		return fds[fd].cloexec ? FD_CLOEXEC : 0;
	case F_SETFD:
		fds[fd].cloexec = r->rdx & FD_CLOEXEC;
		return 0;
	case F_GETFL:
		return f->flags;
	case F_SETFL:
		f->flags = (f->flags & ~FLAGS_SETTABLE) | ((uint32_t)r->rdx & FLAGS_SETTABLE);
		return 0;
	case F_GETLK:
		return lock_get(r->rdx);
	case F_SETLK:
	case F_SETLKW:
		return 0;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (r->rdx >= FILE_MAX)
			return -EINVAL;
		return file_add(f, r->rdx, r->rsi == F_DUPFD_CLOEXEC);
	default:
		return -EINVAL;
	}
}

/* No file is a terminal. */
int64_t file_ioctl(const struct regs *r)
{
	return file_get(r->rdi) ? -ENOTTY : -EBADF;
}

/* flock: there is nobody to keep out. */
int64_t file_lock(const struct regs *r)
{
	return file_get(r->rdi) ? 0 : -EBADF;
}
