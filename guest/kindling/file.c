/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>

#include "guest/abi.h"
#include "guest/kindling/archive.h"
#include "guest/kindling/bytes.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/user.h"

static struct file open_files[FILE_MAX];

static struct {
	struct file *file; /* NULL: closed */
	uint8_t cloexec;
} fds[FILE_MAX];

void file_init(int terminal)
{
	static const enum file_kind kinds[] = { FILE_INPUT, FILE_OUTPUT, FILE_OUTPUT,
						FILE_EVENT, FILE_REPLY };

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		open_files[i] = (struct file){ .kind = kinds[i], .refs = 1 };
		fds[i].file = &open_files[i];
	}
	if (!terminal)
		open_files[0].kind = FILE_NULL;
	open_files[1].stream = ABI_LOG_STDOUT;
	open_files[2].stream = ABI_LOG_STDERR;
}

struct file *file_get(uint64_t fd)
{
	return (uint32_t)fd < FILE_MAX ? fds[(uint32_t)fd].file : NULL;
}

int file_contents(uint64_t fd, const uint8_t **data, uint64_t *size)
{
	const struct file *f = file_get(fd);

	if (!f)
		return -EBADF;
	if (f->kind != FILE_REGULAR)
		return -ENODEV;
	*data = archive_data(f->node);
	*size = f->node->size;
	return 0;
}

/* ---- descriptors ---- */

/* entry.S serves the streams itself as long as their usual descriptors lead to them. */
static void fds_changed(void)
{
	event_fd = fds[3].file && fds[3].file->kind == FILE_EVENT ? 3 : UINT64_MAX;
	reply_fd = fds[4].file && fds[4].file->kind == FILE_REPLY ? 4 : UINT64_MAX;
}

static void fd_release(uint32_t fd)
{
	if (fds[fd].file && --fds[fd].file->refs == 0)
		fds[fd].file->kind = FILE_CLOSED;
	fds[fd].file = NULL;
}

static void fd_set(uint32_t fd, struct file *f, int cloexec)
{
	f->refs++;
	fd_release(fd);
	fds[fd].file = f;
	fds[fd].cloexec = cloexec != 0;
	fds_changed();
}

/* Give @f the lowest free descriptor from @from up. Returns it or -EMFILE. */
static int64_t fd_add(struct file *f, uint64_t from, int cloexec)
{
	for (uint64_t fd = from; fd < FILE_MAX; fd++)
		if (!fds[fd].file) {
			fd_set((uint32_t)fd, f, cloexec);
			return (int64_t)fd;
		}
	return -EMFILE;
}

int64_t file_close(const struct regs *r)
{
	if (!file_get(r->rdi))
		return -EBADF;
	fd_release((uint32_t)r->rdi);
	fds_changed();
	return 0;
}

int64_t file_dup(const struct regs *r)
{
	struct file *f = file_get(r->rdi);

	return f ? fd_add(f, 0, 0) : -EBADF;
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
		return f->kind == FILE_OUTPUT || f->kind == FILE_REPLY ? O_WRONLY : O_RDONLY;
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if (r->rdx >= FILE_MAX)
			return -EINVAL;
		return fd_add(f, r->rdx, r->rsi == F_DUPFD_CLOEXEC);
	default:
		return -EINVAL;
	}
}

/* No file is a terminal. */
int64_t file_ioctl(const struct regs *r)
{
	return file_get(r->rdi) ? -ENOTTY : -EBADF;
}

/* ---- names ---- */

static enum file_kind device_kind(const char *path)
{
	static const struct {
		char path[16];
		enum file_kind kind;
	} devices[] = {
		{ "/dev/null", FILE_NULL },
		{ "/dev/zero", FILE_ZERO },
		{ "/dev/random", FILE_RANDOM },
		{ "/dev/urandom", FILE_RANDOM },
	};

	for (unsigned int i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
		if (memcmp(path, devices[i].path, strlen(devices[i].path) + 1) == 0)
			return devices[i].kind;
	return FILE_CLOSED;
}

/* Put the name of directory @dirfd and a slash into @path. Returns their length or -errno. */
static int64_t path_start(uint64_t dirfd, char *path)
{
	const struct file *dir = file_get(dirfd);

	if (!dir)
		return -EBADF;
	if (dir->kind != FILE_DIRECTORY)
		return -ENOTDIR;
	memcpy(path, archive_name(dir->node), dir->node->name_len);
	path[dir->node->name_len] = '/';
	return (int64_t)dir->node->name_len + 1;
}

int file_find(uint64_t dirfd, uint64_t addr, int follow, enum file_kind *kind,
	      const struct archive_file **node)
{
	static char path[2 * ARCHIVE_PATH_MAX]; /* of a directory, and from there */
	int64_t len = user_get_string(path, addr, ARCHIVE_PATH_MAX);
	int ret;

	if (len < 0)
		return (int)len;
	*kind = device_kind(path);
	if (*kind != FILE_CLOSED)
		return 0;
	if (len && path[0] != '/' && (int32_t)dirfd != AT_FDCWD) {
		int64_t start = path_start(dirfd, path);

		if (start < 0)
			return (int)start;
		len = user_get_string(path + start, addr, ARCHIVE_PATH_MAX);
		if (len < 0)
			return (int)len;
	}
	ret = archive_open(path, follow, node);
	if (ret == 0)
		*kind = S_ISDIR((*node)->mode) ? FILE_DIRECTORY : FILE_REGULAR;
	return ret;
}

/* Why @flags do not suit what was found; 0 if they do. */
static int open_check(enum file_kind kind, const struct archive_file *node, uint64_t flags)
{
	int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (flags & O_DIRECTORY && kind != FILE_DIRECTORY)
		return -ENOTDIR;
	if (kind == FILE_DIRECTORY)
		return writes || flags & O_CREAT ? -EISDIR : 0;
	if (!node)
		return 0;
	if (writes)
		return -EROFS;
	if (S_ISLNK(node->mode))
		return -ELOOP;
	return S_ISREG(node->mode) ? 0 : -ENXIO;
}

static int64_t open_at(uint64_t dirfd, uint64_t addr, uint64_t flags)
{
	const struct archive_file *node = NULL;
	enum file_kind kind;
	struct file *f = open_files;
	int ret = file_find(dirfd, addr, !(flags & O_NOFOLLOW), &kind, &node);

	if (ret == -ENOENT && flags & O_CREAT)
		ret = -EROFS;
	if (ret == 0)
		ret = open_check(kind, node, flags);
	if (ret < 0)
		return ret;
	while (f < open_files + FILE_MAX && f->kind != FILE_CLOSED)
		f++;
	if (f == open_files + FILE_MAX)
		return -EMFILE;
	*f = (struct file){ .kind = kind, .node = node };
	return fd_add(f, 0, (flags & O_CLOEXEC) != 0);
}

int64_t file_open(const struct regs *r)
{
	return open_at((uint64_t)AT_FDCWD, r->rdi, r->rsi);
}

int64_t file_openat(const struct regs *r)
{
	return open_at(r->rdi, r->rsi, r->rdx);
}

/* The working directory is always the root. */
int64_t file_getcwd(const struct regs *r)
{
	if (r->rsi < 2)
		return -ERANGE;
	return user_put(r->rdi, "/", 2) ? -EFAULT : 2;
}

/* ---- positions ---- */

int64_t file_seek(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	int64_t base;

	if (!f)
		return -EBADF;
	if (f->kind == FILE_EVENT && r->rsi == 0 && r->rdx == SEEK_END)
		return (int64_t)event_size;
	if (f->kind != FILE_REGULAR && f->kind != FILE_DIRECTORY)
		return -ESPIPE;
	if (r->rdx == SEEK_SET)
		base = 0;
	else if (r->rdx == SEEK_CUR)
		base = (int64_t)f->pos;
	else if (r->rdx == SEEK_END && f->kind == FILE_REGULAR)
		base = f->node->size;
	else
		return -EINVAL;
	if (__builtin_add_overflow(base, (int64_t)r->rsi, &base) || base < 0)
		return -EINVAL;
	f->pos = (uint64_t)base;
	return base;
}

/* struct linux_dirent64, without its name: no header of the kernel's has it. */
struct dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

#define DIRENT_NAME __builtin_offsetof(struct dirent, name)

/* The entry at @pos of @dir: its two own names, then its children. Returns the length of the
 * name, 0 at the end. @pos is moved. */
static uint32_t list_next(const struct archive_file *dir, uint64_t *pos, const char **name,
			  const struct archive_file **child)
{
	uint64_t cookie;

	*child = dir;
	if (*pos < 2) {
		*name = "..";
		return (uint32_t)++ * pos;
	}
	cookie = *pos - 2;
	*child = archive_child(dir, &cookie);
	if (!*child)
		return 0;
	*pos = cookie + 2;
	*name = archive_name(*child) + (dir->name_len ? dir->name_len + 1 : 0);
	return (*child)->name_len - (uint32_t)(*name - archive_name(*child));
}

int64_t file_list(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	uint64_t size = (uint32_t)r->rdx, done = 0, pos;

	if (!f)
		return -EBADF;
	if (f->kind != FILE_DIRECTORY)
		return -ENOTDIR;
	if (!user_can_write(r->rsi, size))
		return -EFAULT;
	for (pos = f->pos;; f->pos = pos) {
		struct dirent *d = (struct dirent *)(r->rsi + done);
		const struct archive_file *child;
		const char *name;
		uint32_t len = list_next(f->node, &pos, &name, &child);
		uint64_t reclen = bytes_round_up(DIRENT_NAME + len + 1, 8);

		if (len == 0)
			return (int64_t)done;
		if (reclen > size - done)
			return done ? (int64_t)done : -EINVAL;
		d->ino = child->ino + 1ull; /* 0 means none */
		d->off = (int64_t)pos;
		d->reclen = (uint16_t)reclen;
		d->type = (uint8_t)(child->mode >> 12); /* DT_x is S_IFx without its zeros */
		memcpy(d->name, name, len);
		memset(d->name + len, 0, reclen - DIRENT_NAME - len);
		done += reclen;
	}
}
