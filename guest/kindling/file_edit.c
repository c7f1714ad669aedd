/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/contents.h"
#include "guest/kindling/tmp.h"
#include "guest/kindling/user.h"

#define CWD	   ((uint64_t)AT_FDCWD)
#define NS_PER_SEC 1000000000ll
#define UTIME_NOW  0x3fffffff /* utimensat(2) */
#define UTIME_OMIT 0x3ffffffe

/* ---- making ---- */

/* The place of something new. Returns 0, -EEXIST, -EROFS or why the path leads nowhere. */
static int walk_new(uint64_t dirfd, uint64_t addr, struct place *p)
{
	int ret = file_walk(dirfd, addr, 0, p);

	if (ret < 0)
		return ret;
	if (p->node)
		return -EEXIST;
	if (p->dir->gone)
		return -ENOENT;
	return p->dir->writable ? 0 : -EROFS;
}

static int64_t mkdir_at(uint64_t dirfd, uint64_t addr, uint64_t mode)
{
	struct place p;
	int ret = walk_new(dirfd, addr, &p);

	if (ret < 0)
		return ret;
	return tmp_make(&p, KIND_DIRECTORY, file_mode(mode)) ? 0 : -ENOSPC;
}

int64_t file_mkdir(const struct regs *r)
{
	return mkdir_at(CWD, r->rdi, r->rsi);
}

int64_t file_mkdirat(const struct regs *r)
{
	return mkdir_at(r->rdi, r->rsi, r->rdx);
}

static int64_t symlink_at(uint64_t target, uint64_t dirfd, uint64_t addr)
{
	static char text[TREE_PATH_MAX];
	int64_t len = user_get_string(text, target, sizeof(text));
	struct place p;
	int ret;

	if (len <= 0)
		return len ? len : -ENOENT;
	ret = walk_new(dirfd, addr, &p);
	if (ret < 0)
		return ret;
	if (p.slash)
		return -ENOENT;
	return tmp_make_link(&p, text) ? 0 : -ENOSPC;
}

int64_t file_symlink(const struct regs *r)
{
	return symlink_at(r->rdi, CWD, r->rsi);
}

int64_t file_symlinkat(const struct regs *r)
{
	return symlink_at(r->rdi, r->rsi, r->rdx);
}

/* link, linkat: one node has one name. */
int64_t file_link(const struct regs *r)
{
	(void)r;
	return -EPERM;
}

/* ---- removing ---- */

/* The place of something that is to go away. */
static int walk_old(uint64_t dirfd, uint64_t addr, struct place *p)
{
	int ret = file_walk(dirfd, addr, 0, p);

	if (ret < 0)
		return ret;
	if (!p->node)
		return -ENOENT;
	if (!p->name_len) /* "." and "..", or the root */
		return p->node->kind == KIND_DIRECTORY && p->dir ? -EINVAL : -EBUSY;
	return p->dir->writable ? 0 : -EROFS;
}

static int64_t rmdir_at(uint64_t dirfd, uint64_t addr)
{
	struct place p;
	int ret = walk_old(dirfd, addr, &p);

	if (ret < 0)
		return ret;
	if (p.node->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	if (p.node->first)
		return -ENOTEMPTY;
	tmp_remove(p.node);
	return 0;
}

static int64_t unlink_at(uint64_t dirfd, uint64_t addr)
{
	struct place p;
	int ret = walk_old(dirfd, addr, &p);

	if (ret < 0)
		return ret == -EINVAL || ret == -EBUSY ? -EISDIR : ret;
	if (p.node->kind == KIND_DIRECTORY)
		return -EISDIR;
	tmp_remove(p.node);
	return 0;
}

int64_t file_rmdir(const struct regs *r)
{
	return rmdir_at(CWD, r->rdi);
}

int64_t file_unlink(const struct regs *r)
{
	return unlink_at(CWD, r->rdi);
}

int64_t file_unlinkat(const struct regs *r)
{
	if (r->rdx & ~(uint64_t)AT_REMOVEDIR)
		return -EINVAL;
	return r->rdx ? rmdir_at(r->rdi, r->rsi) : unlink_at(r->rdi, r->rsi);
}

/* ---- renaming ---- */

static int is_below(const struct node *n, const struct node *dir)
{
	while (n != &tree_root && n != dir)
		n = n->parent;
	return n == dir;
}

/* May @n take the place of what is at @to? Returns 0 or -errno. */
static int rename_check(const struct node *n, const struct place *to, uint64_t flags)
{
	int is_dir = n->kind == KIND_DIRECTORY;

	if (!to->name_len)
		return -EBUSY;
	if (!to->dir->writable)
		return to->dir->gone ? -ENOENT : -EROFS;
	if (to->slash && !is_dir)
		return -ENOTDIR;
	if (is_dir && is_below(to->dir, n))
		return -EINVAL;
	if (!to->node || to->node == n)
		return 0;
	if (flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (to->node->kind == KIND_DIRECTORY)
		return !is_dir ? -EISDIR : to->node->first ? -ENOTEMPTY : 0;
	return is_dir ? -ENOTDIR : 0;
}

struct rename {
	uint64_t from_fd, from, to_fd, to, flags;
};

static int64_t rename_at(const struct rename *a)
{
	struct place from, to;
	int ret;

	if (a->flags & ~(uint64_t)RENAME_NOREPLACE)
		return -EINVAL;
	ret = walk_old(a->from_fd, a->from, &from);
	if (ret == 0)
		ret = file_walk(a->to_fd, a->to, 0, &to);
	if (ret == 0)
		ret = rename_check(from.node, &to, a->flags);
	if (ret < 0)
		return ret == -EINVAL && !from.name_len ? -EBUSY : ret;
	if (to.node == from.node)
		return 0;
	/* The new name first: when there is no memory for it, nothing has changed. */
	ret = tmp_move(from.node, to.dir, to.name, to.name_len);
	if (ret == 0 && to.node)
		tmp_remove(to.node);
	return ret;
}

int64_t file_rename(const struct regs *r)
{
	struct rename a = { CWD, r->rdi, CWD, r->rsi, 0 };

	return rename_at(&a);
}

int64_t file_renameat(const struct regs *r)
{
	struct rename a = { r->rdi, r->rsi, r->rdx, r->r10, 0 };

	return rename_at(&a);
}

int64_t file_renameat2(const struct regs *r)
{
	struct rename a = { r->rdi, r->rsi, r->rdx, r->r10, r->r8 };

	return rename_at(&a);
}

/* ---- sizes ---- */

static int64_t resize(struct node *n, uint64_t size)
{
	if ((int64_t)size < 0)
		return -EINVAL;
	n->mtime_ns = (int64_t)clock_real_ns();
	return contents_resize(n, size);
}

int64_t file_truncate(const struct regs *r)
{
	struct node *n;
	int ret = file_find(CWD, r->rdi, 1, &n);

	if (ret < 0)
		return ret;
	if (n->kind != KIND_REGULAR)
		return n->kind == KIND_DIRECTORY ? -EISDIR : -EINVAL;
	return n->writable ? resize(n, r->rsi) : -EROFS;
}

int64_t file_ftruncate(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	return f->kind == KIND_REGULAR && file_get_writer(r->rdi) ? resize(f->node, r->rsi)
								  : -EINVAL;
}

/* fsync and its relatives: memory is all there is. */
int64_t file_sync(const struct regs *r)
{
	return file_get(r->rdi) ? 0 : -EBADF;
}

/* ---- attributes ---- */

/* What a change applies to: found by name, or open. Returns 0 or -errno. */
static int edit_find(uint64_t dirfd, uint64_t addr, uint64_t flags, struct node **n)
{
	const struct file *f;
	int ret = file_find_empty(dirfd, addr, flags, n, &f);

	if (ret < 0)
		return ret;
	return *n && ((*n)->writable || (*n)->gone) ? 0 : -EROFS;
}

static int64_t chmod_node(struct node *n, uint64_t mode)
{
	n->mode = (n->mode & ~07777u) | ((uint32_t)mode & 07777);
	return 0;
}

static int64_t chmod_at(uint64_t dirfd, uint64_t addr, uint64_t mode)
{
	struct node *n;
	int ret = edit_find(dirfd, addr, 0, &n);

	return ret < 0 ? ret : chmod_node(n, mode);
}

int64_t file_chmod(const struct regs *r)
{
	return chmod_at(CWD, r->rdi, r->rsi);
}

int64_t file_fchmodat(const struct regs *r)
{
	return chmod_at(r->rdi, r->rsi, r->rdx);
}

int64_t file_fchmod(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	return f->node && f->node->writable ? chmod_node(f->node, r->rsi) : -EROFS;
}

static int64_t chown_node(struct node *n, uint64_t uid, uint64_t gid)
{
	if ((uint32_t)uid != UINT32_MAX)
		n->uid = (uint32_t)uid;
	if ((uint32_t)gid != UINT32_MAX)
		n->gid = (uint32_t)gid;
	return 0;
}

static int64_t chown_at(const struct regs *r, uint64_t flags)
{
	struct node *n;
	int ret = edit_find(CWD, r->rdi, flags, &n);

	return ret < 0 ? ret : chown_node(n, r->rsi, r->rdx);
}

int64_t file_chown(const struct regs *r)
{
	return chown_at(r, 0);
}

int64_t file_lchown(const struct regs *r)
{
	return chown_at(r, AT_SYMLINK_NOFOLLOW);
}

int64_t file_fchown(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	return f->node && f->node->writable ? chown_node(f->node, r->rsi, r->rdx) : -EROFS;
}

/* fchownat(dirfd, path, uid, gid, flags) */
int64_t file_fchownat(const struct regs *r)
{
	struct node *n;
	int ret = edit_find(r->rdi, r->rsi, r->r8, &n);

	return ret < 0 ? ret : chown_node(n, r->rdx, r->r10);
}

/* utimensat(dirfd, path, times, flags): the time of change is the only one that is kept. */
int64_t file_utimensat(const struct regs *r)
{
	int64_t times[4] = { 0, UTIME_NOW, 0, UTIME_NOW };
	uint64_t flags = r->rsi ? r->r10 : r->r10 | AT_EMPTY_PATH;
	struct node *n;
	int ret;

	if (r->rdx && user_get(times, r->rdx, sizeof(times)))
		return -EFAULT;
	ret = edit_find(r->rdi, r->rsi, flags, &n);
	if (ret < 0)
		return ret;
	if (times[3] == UTIME_OMIT)
		return 0;
	if (times[3] == UTIME_NOW) {
		n->mtime_ns = (int64_t)clock_real_ns();
		return 0;
	}
	if (times[3] < 0 || times[3] >= NS_PER_SEC ||
	    __builtin_mul_overflow(times[2], NS_PER_SEC, &n->mtime_ns))
		return -EINVAL;
	n->mtime_ns += times[3];
	return 0;
}
