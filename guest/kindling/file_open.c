/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <linux/fcntl.h>
#include <stddef.h>

#include "guest/kindling/contents.h"
#include "guest/kindling/layout.h"
#include "guest/kindling/memory.h"
#include "guest/kindling/special.h"
#include "guest/kindling/tmp.h"
#include "guest/kindling/user.h"

static struct node *cwd = &tree_root;
static uint32_t mask = 022;

uint32_t file_mode(uint64_t mode)
{
	return (uint32_t)mode & 07777 & ~mask;
}

/* ---- names ---- */

int file_walk(uint64_t dirfd, uint64_t addr, int follow, struct place *p)
{
	static char path[TREE_PATH_MAX];
	int64_t len = user_get_string(path, addr, sizeof(path));
	struct node *start = cwd;
	const struct file *f;

	if (len < 0)
		return (int)len;
	if (path[0] != '/' && (int32_t)dirfd != AT_FDCWD) {
		f = file_get(dirfd);
		if (!f)
			return -EBADF;
		if (f->kind != KIND_DIRECTORY)
			return -ENOTDIR;
		start = f->node;
	}
	return tree_walk(start, path, follow, p);
}

int file_find(uint64_t dirfd, uint64_t addr, int follow, struct node **n)
{
	struct place p;
	int ret = file_walk(dirfd, addr, follow, &p);

	if (ret < 0)
		return ret;
	*n = p.node;
	return p.node ? 0 : -ENOENT;
}

int file_find_empty(uint64_t dirfd, uint64_t addr, uint64_t flags, struct node **n,
		    const struct file **f)
{
	char first;

	*f = NULL;
	if (!(flags & AT_EMPTY_PATH) || (addr && user_get(&first, addr, 1)) || (addr && first))
		return file_find(dirfd, addr, !(flags & AT_SYMLINK_NOFOLLOW), n);
	*n = cwd;
	if ((int32_t)dirfd == AT_FDCWD)
		return 0;
	*f = file_get(dirfd);
	*n = *f ? (*f)->node : NULL;
	return *f ? 0 : -EBADF;
}

/* ---- opening ---- */

/* Why @flags do not suit what is at @p; 0 if they do. */
static int open_check(const struct place *p, uint64_t flags)
{
	int writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
	const struct node *n = p->node;

	if (flags & O_CREAT && flags & O_EXCL)
		return -EEXIST;
	if (n->kind == KIND_LINK)
		return -ELOOP;
	if (flags & O_DIRECTORY && n->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	if (n->kind == KIND_DIRECTORY)
		return writes || flags & O_CREAT ? -EISDIR : 0;
	if (n->kind == KIND_OTHER)
		return -ENXIO;
	if (n->kind == KIND_TEXT)
		return writes ? -EACCES : 0;
	return n->kind == KIND_REGULAR && writes && !n->writable ? -EROFS : 0;
}

/* What is missing at @p is made if @flags and the place allow it. */
static int open_make(struct place *p, uint64_t flags, uint64_t mode)
{
	if (!(flags & O_CREAT))
		return -ENOENT;
	if (p->slash)
		return -EISDIR;
	if (!p->dir->writable)
		return p->dir->gone ? -ENOENT : -EROFS;
	p->node = tmp_make(p, KIND_REGULAR, file_mode(mode));
	return p->node ? 0 : -ENOSPC;
}

/* The page with what a file of /proc says now. Returns 0 or -ENOMEM. */
static int open_text(struct file *f, const struct node *n)
{
	f->text = memory_take(1);
	if (!f->text)
		return -ENOMEM;
	f->count = special_text(n, f->text, LAYOUT_PAGE);
	return 0;
}

static int64_t open_node(struct node *n, uint64_t flags)
{
	struct file *f;
	int64_t fd;
	int ret = 0;

	if (n->kind == KIND_FD) /* a pipe or a stream: its description is shared */
		return file_add(file_get(n->number), 0, (flags & O_CLOEXEC) != 0);
	f = file_new(n->kind, (uint32_t)flags);
	if (!f)
		return -EMFILE;
	if (n->kind == KIND_TEXT)
		ret = open_text(f, n);
	if (flags & O_TRUNC && n->kind == KIND_REGULAR)
		ret = contents_resize(n, 0);
	fd = ret == 0 ? file_add(f, 0, (flags & O_CLOEXEC) != 0) : ret;
	if (fd >= 0) {
		f->node = n;
		tmp_get(n);
	} else {
		memory_give_back(f->text, 1);
		*f = (struct file){ 0 };
	}
	return fd;
}

static int64_t open_at(uint64_t dirfd, uint64_t addr, uint64_t flags, uint64_t mode)
{
	int follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
	struct place p;
	int ret = file_walk(dirfd, addr, follow, &p);

	if (ret < 0)
		return ret;
	ret = p.node ? open_check(&p, flags) : open_make(&p, flags, mode);
	return ret < 0 ? ret : open_node(p.node, flags);
}

int64_t file_open(const struct regs *r)
{
	return open_at((uint64_t)AT_FDCWD, r->rdi, r->rsi, r->rdx);
}

int64_t file_openat(const struct regs *r)
{
	return open_at(r->rdi, r->rsi, r->rdx, r->r10);
}

int64_t file_creat(const struct regs *r)
{
	return open_at((uint64_t)AT_FDCWD, r->rdi, O_CREAT | O_WRONLY | O_TRUNC, r->rsi);
}

int64_t file_umask(const struct regs *r)
{
	uint32_t old = mask;

	mask = (uint32_t)r->rdi & 0777;
	return old;
}

/* ---- the working directory ---- */

static int64_t chdir_to(struct node *n)
{
	if (n->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	tmp_get(n);
	tmp_put(cwd);
	cwd = n;
	return 0;
}

int64_t file_chdir(const struct regs *r)
{
	struct node *n;
	int ret = file_find((uint64_t)AT_FDCWD, r->rdi, 1, &n);

	return ret < 0 ? ret : chdir_to(n);
}

int64_t file_fchdir(const struct regs *r)
{
	const struct file *f = file_get(r->rdi);

	if (!f)
		return -EBADF;
	return f->node ? chdir_to(f->node) : -ENOTDIR;
}

int64_t file_getcwd(const struct regs *r)
{
	static char path[TREE_PATH_MAX];
	int64_t len = tree_path(cwd, path);

	if (len < 0)
		return len;
	if (r->rsi < (uint64_t)len + 1)
		return -ERANGE;
	return user_put(r->rdi, path, (uint64_t)len + 1) ? -EFAULT : len + 1;
}
