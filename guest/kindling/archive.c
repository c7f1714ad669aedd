/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/archive.h"

#include <sys/stat.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/cpio.h"
#include "guest/kindling/log.h"
#include "guest/kindling/tree.h"

#define NS_PER_SEC 1000000000ll

static enum kind kind_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return KIND_DIRECTORY;
	case S_IFREG:
		return KIND_REGULAR;
	case S_IFLNK:
		return KIND_LINK;
	default:
		return KIND_OTHER;
	}
}

/*
 * The directory that @e lies in, and its last name; the ones on the way are made. "./a/b/" is
 * "a/b", "." and "/" are the root, whose last name is empty. What is in the way and is not a
 * directory is not one either for this archive: its entry is left out.
 */
static struct node *archive_parent(const struct cpio_entry *e, const char **name, uint32_t *len)
{
	struct node *dir = &tree_root;
	const char *s = e->name, *end = e->name + e->name_len;

	*len = 0;
	while (s < end) {
		uint32_t n = 0;

		while (s + n < end && s[n] != '/')
			n++;
		if (n && !(n == 1 && *s == '.')) {
			if (*len)
				dir = tree_directory(dir, *name, *len);
			if (dir->kind != KIND_DIRECTORY)
				return NULL;
			*name = s;
			*len = n;
		}
		s += n + (s + n < end);
	}
	return dir;
}

/*
 * Of several hard links only the last one in the archive has the contents. The ones before it
 * wait for it in a list, and are given them when it comes.
 */
static void archive_share(struct node *n, uint32_t file)
{
	static struct node *waiting;

	n->number = file;
	if (n->size == 0) {
		n->other = waiting;
		waiting = n;
		return;
	}
	for (struct node **w = &waiting; *w;) {
		struct node *other = *w;

		if (other->number != file) {
			w = &other->other;
			continue;
		}
		*w = other->other;
		other->data = n->data;
		other->size = n->size;
		other->ino = n->ino;
	}
}

/* May an entry of kind @kind come where @n is? A directory stays one, a device is ours. */
static int archive_may_replace(const struct node *n, enum kind kind)
{
	if (n->kind == KIND_DIRECTORY)
		return kind == KIND_DIRECTORY;
	return n->kind == KIND_REGULAR || n->kind == KIND_LINK || n->kind == KIND_OTHER;
}

static void archive_add(const uint8_t *bytes, const struct cpio_entry *e)
{
	const char *name = "";
	uint32_t len;
	struct node *dir = archive_parent(e, &name, &len), *n;
	enum kind kind = kind_of(e->mode);

	if (!dir || len > TREE_NAME_MAX)
		return;
	n = len ? tree_child(dir, name, len) : &tree_root;
	if (n && !archive_may_replace(n, kind))
		return;
	if (n && kind != KIND_DIRECTORY)
		tree_remove(n);
	if (!n || kind != KIND_DIRECTORY)
		n = tree_place(dir, name, len, kind, e->mode);
	n->mode = e->mode;
	n->nlink = e->nlink ? e->nlink : 1; /* some archivers leave it 0 */
	n->mtime_ns = e->mtime * NS_PER_SEC;
	if (kind == KIND_DIRECTORY)
		return;
	n->data = bytes + e->data;
	n->size = kind == KIND_OTHER ? 0 : e->size;
	if (kind == KIND_REGULAR && e->nlink > 1)
		archive_share(n, e->ino);
}

void archive_init(const uint8_t *bytes, uint64_t size)
{
	struct cpio_walk walk = { .bytes = bytes, .size = size };
	struct cpio_entry e;
	char why[CPIO_WHY_SIZE];
	int ret;

	while ((ret = cpio_next(&walk, &e, why)) > 0)
		archive_add(bytes, &e);
	if (ret < 0)
		log_die("files: %s", why);
}
