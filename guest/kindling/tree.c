/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/tree.h"

#include <linux/errno.h>
#include <sys/stat.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/file.h"
#include "guest/kindling/log.h"
#include "guest/kindling/pool.h"

#define MAX_LINKS 40	/* symbolic links on one way, as Linux */
#define NBUCKETS  1024u /* ours: chains stay short up to some thousand files */

struct node tree_root = {
	.kind = KIND_DIRECTORY,
	.mode = S_IFDIR | 0755,
	.nlink = 2,
	.ino = 1,
	.refs = 1, /* the working directory */
	.parent = &tree_root,
	.name = "",
};

static struct node *buckets[NBUCKETS];

static uint32_t hash_of(const struct node *dir, const char *name, uint32_t len)
{
	uint32_t h = 2166136261u ^ dir->ino; /* FNV-1a, 32 bits */

	for (uint32_t i = 0; i < len; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

struct node *tree_child(const struct node *dir, const char *name, uint32_t len)
{
	uint32_t hash = hash_of(dir, name, len);
	struct node *n = buckets[hash % NBUCKETS];

	while (n && (n->hash != hash || n->parent != dir || n->name_len != len ||
		     memcmp(n->name, name, len) != 0))
		n = n->chain;
	return n;
}

void tree_add(struct node *dir, struct node *n)
{
	static uint32_t serial, ino = 1;
	struct node **bucket;

	if (!n->ino)
		n->ino = ++ino;
	n->serial = ++serial;
	n->parent = dir;
	n->writable |= dir->writable;
	n->hash = hash_of(dir, n->name, n->name_len);
	bucket = &buckets[n->hash % NBUCKETS];
	n->chain = *bucket;
	*bucket = n;
	n->next = NULL;
	if (dir->last)
		dir->last->next = n;
	else
		dir->first = n;
	dir->last = n;
}

void tree_remove(struct node *n)
{
	struct node *dir = n->parent, *before = NULL;
	struct node **link = &buckets[n->hash % NBUCKETS];

	while (*link != n)
		link = &(*link)->chain;
	*link = n->chain;
	if (dir->first == n) {
		dir->first = n->next;
	} else {
		for (before = dir->first; before->next != n;)
			before = before->next;
		before->next = n->next;
	}
	if (dir->last == n)
		dir->last = before;
}

static struct pool nodes = { .size = sizeof(struct node) };
static struct pool names = { .size = TREE_NAME_MAX + 1 };

struct node *tree_new(const char *name, uint32_t len, enum kind kind, uint32_t mode)
{
	struct node *n = pool_take(&nodes);

	if (n)
		*n = (struct node){
			.kind = kind, .mode = mode, .nlink = 1, .name = name, .name_len = len
		};
	return n;
}

void tree_free(struct node *n)
{
	tree_name_free(n);
	pool_give_back(&nodes, n);
}

char *tree_name(const char *name, uint32_t len)
{
	char *copy = pool_take(&names);

	if (copy)
		memcpy(copy, name, len);
	return copy;
}

void tree_name_free(const struct node *n)
{
	if (n->own_name)
		pool_give_back(&names, (void *)(uintptr_t)n->name);
}

struct node *tree_place(struct node *dir, const char *name, uint32_t len, enum kind kind,
			uint32_t mode)
{
	struct node *n = tree_new(name, len, kind, mode);

	if (!n)
		log_die("no memory for the index of files: give the machine more");
	tree_add(dir, n);
	return n;
}

struct node *tree_directory(struct node *dir, const char *name, uint32_t len)
{
	struct node *n = tree_child(dir, name, len);

	if (n)
		return n;
	n = tree_place(dir, name, len, KIND_DIRECTORY, S_IFDIR | 0755);
	n->nlink = 2;
	return n;
}

int64_t tree_path(const struct node *n, char *path)
{
	uint64_t len = 0, at;

	for (const struct node *up = n; up != &tree_root; up = up->parent) {
		if (up->gone)
			return -ENOENT;
		len += up->name_len + 1ull;
	}
	if (len >= TREE_PATH_MAX)
		return -ENAMETOOLONG;
	path[0] = '/';
	path[len ? len : 1] = '\0';
	for (at = len; n != &tree_root; n = n->parent) {
		at -= n->name_len;
		memcpy(path + at, n->name, n->name_len);
		path[--at] = '/';
	}
	return (int64_t)(len ? len : 1);
}

/* ---- walking ---- */

/* What has still to be walked. One walk at a time, so the buffer is fixed. */
static char rest[TREE_PATH_MAX];

/* Put the target of link @n in front of @tail, which is inside rest and empty or starts with
 * a slash, to start over with it. Returns 0 or -ENAMETOOLONG. */
static int walk_link(const struct node *n, const char *tail)
{
	uint64_t len = strlen(tail) + 1;

	if (n->size + len > sizeof(rest))
		return -ENAMETOOLONG;
	memmove(rest + n->size, tail, len);
	memcpy(rest, n->data, n->size);
	return 0;
}

static uint32_t part_length(const char *part)
{
	uint32_t n = 0;

	while (part[n] && part[n] != '/')
		n++;
	return n;
}

/* One part further, from directory @dir. */
static void walk_part(struct node *dir, const char *part, uint32_t len, struct place *p)
{
	int dots = len <= 2 && part[0] == '.' && part[len - 1] == '.' ? (int)len : 0;

	*p = (struct place){ .dir = dir, .name = part, .name_len = dots ? 0 : len };
	if (dots)
		p->node = dots == 1 ? dir : dir->parent;
	else
		p->node = tree_child(dir, part, len);
}

/* The file that /proc/self/fd/N leads to: its node, or the link itself if it has none. */
static struct node *walk_fd(struct node *n)
{
	const struct file *f = file_get(n->number);

	if (!f)
		return NULL;
	return f->node ? f->node : n;
}

static const char *skip_slashes(const char *s)
{
	while (*s == '/')
		s++;
	return s;
}

/*
 * @p->node may be a link, and @tail is what comes behind it: go where it leads.
 * @s: where to walk on from, if it is another place than before.
 * Returns 0, -ELOOP or -ENAMETOOLONG.
 */
static int walk_follow(struct place *p, const char *tail, uint32_t *links, const char **s)
{
	struct node *dir = p->dir, *n = p->node;

	if (n->kind == KIND_FD)
		n = p->node = walk_fd(n);
	if (!n || n->kind != KIND_LINK)
		return 0;
	if (++*links > MAX_LINKS)
		return -ELOOP;
	if (walk_link(n, tail))
		return -ENAMETOOLONG;
	p->node = *rest == '/' ? &tree_root : dir;
	p->name_len = 0; /* the target may be only slashes */
	*s = rest;
	return 0;
}

int tree_walk(struct node *start, const char *path, int follow, struct place *p)
{
	uint32_t links = 0, len;
	const char *s;
	int ret = 0;

	if (!*path)
		return -ENOENT;
	if (strlen(path) >= sizeof(rest))
		return -ENAMETOOLONG;
	memcpy(rest, path, strlen(path) + 1);
	*p = (struct place){ .node = *rest == '/' ? &tree_root : start };

	for (s = skip_slashes(rest); *s && ret == 0; s = skip_slashes(s)) {
		struct node *dir = p->node;

		len = part_length(s);
		if (!dir)
			return -ENOENT;
		if (dir->kind != KIND_DIRECTORY)
			return -ENOTDIR;
		if (len > TREE_NAME_MAX)
			return -ENAMETOOLONG;
		walk_part(dir, s, len, p);
		s += len;
		if (p->node && (*s || follow))
			ret = walk_follow(p, s, &links, &s);
	}
	p->slash = s > rest && s[-1] == '/';
	if (ret == 0 && p->slash && p->node && p->node->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	return ret;
}
