/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <stddef.h>
#include <sys/stat.h>

#include "guest/kindling/archive.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/user.h"

#define ACCESS_WRITE 2u /* W_OK */
#define ACCESS_EXEC  1u /* X_OK */

static uint32_t mode_of(enum file_kind kind)
{
	switch (kind) {
	case FILE_INPUT:
	case FILE_EVENT:
		return S_IFIFO | 0400;
	case FILE_OUTPUT:
	case FILE_REPLY:
		return S_IFIFO | 0200;
	case FILE_NULL:
	case FILE_ZERO:
	case FILE_RANDOM:
	case FILE_REGULAR:
	case FILE_DIRECTORY:
	case FILE_CLOSED:
		break;
	}
	return S_IFCHR | 0666;
}

static int64_t stat_put(uint64_t addr, enum file_kind kind, const struct archive_file *node)
{
	struct stat st = {
		.st_dev = 1,
		.st_ino = kind,
		.st_nlink = 1,
		.st_mode = mode_of(kind),
		.st_blksize = LAYOUT_PAGE,
	};

	if (node) {
		st.st_dev = 2;
		st.st_ino = node->ino + 1ull;
		st.st_nlink = node->nlink;
		st.st_mode = node->mode;
		st.st_size = node->size;
		st.st_blocks = (int64_t)(node->size / 512) + (node->size % 512 != 0);
		st.st_atime = st.st_mtime = st.st_ctime = node->mtime;
	}
	return user_put(addr, &st, sizeof(st));
}

static int64_t stat_at(uint64_t dirfd, uint64_t path, uint64_t addr, int follow)
{
	const struct archive_file *node = NULL;
	enum file_kind kind;
	int ret = file_find(dirfd, path, follow, &kind, &node);

	return ret < 0 ? ret : stat_put(addr, kind, node);
}

int64_t file_stat(const struct regs *r)
{
	return stat_at((uint64_t)AT_FDCWD, r->rdi, r->rsi, 1);
}

int64_t file_lstat(const struct regs *r)
{
	return stat_at((uint64_t)AT_FDCWD, r->rdi, r->rsi, 0);
}

int64_t file_fstat(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	return f ? stat_put(r->rsi, f->kind, f->node) : -EBADF;
}

/* newfstatat(dirfd, path, stat, flags) */
int64_t file_fstatat(const struct regs *r)
{
	struct regs fstat = { .rdi = r->rdi, .rsi = r->rdx };
	char first;

	if (r->r10 & AT_EMPTY_PATH &&
	    (r->rsi == 0 || (user_get(&first, r->rsi, 1) == 0 && !first)))
		return file_fstat(&fstat);
	return stat_at(r->rdi, r->rsi, r->rdx, !(r->r10 & AT_SYMLINK_NOFOLLOW));
}

/* The program is root: it may read everything, execute what somebody may, write nothing. */
static int64_t access_at(uint64_t dirfd, uint64_t path, uint64_t mode)
{
	const struct archive_file *node = NULL;
	enum file_kind kind;
	int ret = file_find(dirfd, path, 1, &kind, &node);

	if (ret < 0)
		return ret;
	if (mode & ACCESS_WRITE && node)
		return -EROFS;
	if (mode & ACCESS_EXEC && !((node ? node->mode : mode_of(kind)) & 0111))
		return -EACCES;
	return 0;
}

int64_t file_access(const struct regs *r)
{
	return access_at((uint64_t)AT_FDCWD, r->rdi, r->rsi);
}

int64_t file_accessat(const struct regs *r)
{
	return access_at(r->rdi, r->rsi, r->rdx);
}

static int64_t readlink_at(uint64_t dirfd, uint64_t path, uint64_t buf, uint64_t size)
{
	const struct archive_file *node = NULL;
	enum file_kind kind;
	uint64_t n;
	int ret = file_find(dirfd, path, 0, &kind, &node);

	if (ret < 0)
		return ret;
	if (!node || !S_ISLNK(node->mode) || (int32_t)size <= 0)
		return -EINVAL;
	n = node->size < size ? node->size : size;
	return user_put(buf, archive_data(node), n) ? -EFAULT : (int64_t)n;
}

int64_t file_readlink(const struct regs *r)
{
	return readlink_at((uint64_t)AT_FDCWD, r->rdi, r->rsi, r->rdx);
}

int64_t file_readlinkat(const struct regs *r)
{
	return readlink_at(r->rdi, r->rsi, r->rdx, r->r10);
}
