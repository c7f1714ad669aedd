/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <asm/statfs.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/contents.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/program.h"
#include "guest/kindling/text.h"
#include "guest/kindling/user.h"

#define ACCESS_WRITE 2u /* W_OK */
#define ACCESS_EXEC  1u /* X_OK */
#define NS_PER_SEC   1000000000
#define LINK_SIZE    64u /* of the text that a descriptor without a name has */

/* struct stat as the system call has it. */
struct kernel_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	struct {
		uint64_t sec, nsec;
	} atime, mtime, ctime;
	int64_t unused[3];
};

/* Device numbers, as Linux has them: 1:3 is /dev/null. */
static uint32_t minor_of(enum kind kind)
{
	switch ((uint32_t)kind) {
	case KIND_NULL:
		return 3;
	case KIND_ZERO:
		return 5;
	case KIND_FULL:
		return 7;
	case KIND_RANDOM:
		return 9;
	default:
		return 0;
	}
}

static struct kernel_stat stat_of_node(const struct node *n)
{
	struct kernel_stat st = {
		.dev = 2,
		.ino = n->ino,
		.nlink = n->nlink,
		.mode = n->mode,
		.uid = n->uid,
		.gid = n->gid,
		.rdev = minor_of(n->kind) ? 0x100 | minor_of(n->kind) : 0,
		.size = (int64_t)n->size,
		.blksize = LAYOUT_PAGE,
		.blocks = (int64_t)((contents_used(n) + 511) / 512),
		.mtime = { (uint64_t)(n->mtime_ns / NS_PER_SEC),
			   (uint64_t)(n->mtime_ns % NS_PER_SEC) },
	};

	st.atime = st.ctime = st.mtime;
	return st;
}

/* Terminal, streams, pipes and counters have no node. */
static struct kernel_stat stat_of_file(const struct file *f)
{
	struct kernel_stat st = { .dev = 1, .nlink = 1, .blksize = LAYOUT_PAGE };

	if (f->node)
		return stat_of_node(f->node);
	st.ino = (uint64_t)f->kind + ((uintptr_t)f->pipe >> 4); /* both ends of a pipe differ */
	st.mode = f->kind == KIND_NULL ? S_IFCHR | 0666 : S_IFIFO | 0600;
	st.rdev = f->kind == KIND_NULL ? 0x103 : 0;
	return st;
}

static int64_t stat_at(uint64_t dirfd, uint64_t path, uint64_t flags, struct kernel_stat *st)
{
	const struct file *f;
	struct node *n;
	int ret = file_find_empty(dirfd, path, flags, &n, &f);

	if (ret < 0)
		return ret;
	/* Following a descriptor's link that leads to no name: what is open there. */
	if (!f && n->kind == KIND_FD && !(flags & AT_SYMLINK_NOFOLLOW))
		f = file_get(n->number);
	*st = f ? stat_of_file(f) : stat_of_node(n);
	return 0;
}

static int64_t stat_put(uint64_t dirfd, uint64_t path, uint64_t addr, uint64_t flags)
{
	struct kernel_stat st;
	int64_t ret = stat_at(dirfd, path, flags, &st);

	return ret < 0 ? ret : user_put(addr, &st, sizeof(st));
}

int64_t file_stat(const struct regs *r)
{
	return stat_put((uint64_t)AT_FDCWD, r->rdi, r->rsi, 0);
}

int64_t file_lstat(const struct regs *r)
{
	return stat_put((uint64_t)AT_FDCWD, r->rdi, r->rsi, AT_SYMLINK_NOFOLLOW);
}

int64_t file_fstat(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);
	struct kernel_stat st;

	if (!f)
		return -EBADF;
	st = stat_of_file(f);
	return user_put(r->rsi, &st, sizeof(st));
}

/* newfstatat(dirfd, path, stat, flags) */
int64_t file_fstatat(const struct regs *r)
{
	return stat_put(r->rdi, r->rsi, r->rdx, r->r10);
}

static struct statx_timestamp statx_time(uint64_t sec, uint64_t nsec)
{
	return (struct statx_timestamp){ .tv_sec = (int64_t)sec, .tv_nsec = (uint32_t)nsec };
}

/* statx(dirfd, path, flags, mask, buffer) */
int64_t file_statx(const struct regs *r)
{
	struct kernel_stat st;
	int64_t ret = stat_at(r->rdi, r->rsi, r->rdx, &st);
	struct statx x;

	if (ret < 0)
		return ret;
	x = (struct statx){
		.stx_mask = STATX_BASIC_STATS,
		.stx_blksize = (uint32_t)st.blksize,
		.stx_nlink = (uint32_t)st.nlink,
		.stx_uid = st.uid,
		.stx_gid = st.gid,
		.stx_mode = (uint16_t)st.mode,
		.stx_ino = st.ino,
		.stx_size = (uint64_t)st.size,
		.stx_blocks = (uint64_t)st.blocks,
		.stx_atime = statx_time(st.atime.sec, st.atime.nsec),
		.stx_ctime = statx_time(st.ctime.sec, st.ctime.nsec),
		.stx_mtime = statx_time(st.mtime.sec, st.mtime.nsec),
		.stx_rdev_major = (uint32_t)(st.rdev >> 8),
		.stx_rdev_minor = (uint32_t)(st.rdev & 0xff),
		.stx_dev_minor = (uint32_t)st.dev,
	};
	return user_put(r->r8, &x, sizeof(x));
}

static int64_t statfs_put(uint64_t addr)
{
	struct statfs64 fs = {
		.f_type = TMPFS_MAGIC,
		.f_bsize = LAYOUT_PAGE,
		.f_blocks = program.arena_size / LAYOUT_PAGE,
		.f_bfree = memory_free() / LAYOUT_PAGE,
		.f_bavail = memory_free() / LAYOUT_PAGE,
		.f_namelen = TREE_NAME_MAX,
		.f_frsize = LAYOUT_PAGE,
	};

	return user_put(addr, &fs, sizeof(fs));
}

int64_t file_statfs(const struct regs *r)
{
	struct node *n;
	int ret = file_find((uint64_t)AT_FDCWD, r->rdi, 1, &n);

	return ret < 0 ? ret : statfs_put(r->rsi);
}

int64_t file_fstatfs(const struct regs *r)
{
	return file_get(r->rdi) ? statfs_put(r->rsi) : -EBADF;
}

/* ---- permissions ---- */

/* The program is root: it may read everything, execute what somebody may, write to devices
 * and below /tmp. */
static int64_t access_at(uint64_t dirfd, uint64_t path, uint64_t mode)
{
	struct node *n;
	int ret = file_find(dirfd, path, 1, &n);

	if (ret < 0)
		return ret;
	if (mode & ACCESS_WRITE && !n->writable &&
	    (n->kind == KIND_REGULAR || n->kind == KIND_DIRECTORY || n->kind == KIND_TEXT))
		return -EROFS;
	if (mode & ACCESS_EXEC && !(n->mode & 0111))
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

/* ---- links ---- */

/* What the link of a descriptor says. Returns bytes. */
static uint64_t fd_link(uint64_t fd, char *text)
{
	const struct file *f = file_get(fd);
	int64_t len = -1;

	if (f && f->node)
		len = tree_path(f->node, text);
	if (len >= 0)
		return (uint64_t)len;
	if (f && f->kind == KIND_NULL)
		return text_print(text, LINK_SIZE, "/dev/null");
	if (f && f->kind == KIND_COUNTER)
		return text_print(text, LINK_SIZE, "anon_inode:[eventfd]");
	return text_print(text, LINK_SIZE, "pipe:[%lu]", f ? stat_of_file(f).ino : fd);
}

static int64_t readlink_at(uint64_t dirfd, uint64_t path, uint64_t buf, uint64_t size)
{
	static char text[TREE_PATH_MAX];
	const void *target = text;
	struct node *n;
	uint64_t len;
	int ret = file_find(dirfd, path, 0, &n);

	if (ret < 0)
		return ret;
	if ((n->kind != KIND_LINK && n->kind != KIND_FD) || (int32_t)size <= 0)
		return -EINVAL;
	if (n->kind == KIND_FD) {
		if (!file_get(n->number))
			return -ENOENT;
		len = fd_link(n->number, text);
	} else {
		target = n->data;
		len = n->size;
	}
	len = len < size ? len : size;
	return user_put(buf, target, len) ? -EFAULT : (int64_t)len;
}

int64_t file_readlink(const struct regs *r)
{
	return readlink_at((uint64_t)AT_FDCWD, r->rdi, r->rsi, r->rdx);
}

int64_t file_readlinkat(const struct regs *r)
{
	return readlink_at(r->rdi, r->rsi, r->rdx, r->r10);
}
