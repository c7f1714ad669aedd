/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/tmp.h"

#include <linux/errno.h>
#include <sys/stat.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/clock.h"
#include "guest/kindling/contents.h"
#include "guest/kindling/memory.h"

static uint32_t type_of(enum kind kind)
{
	if (kind == KIND_DIRECTORY)
		return S_IFDIR;
	return kind == KIND_LINK ? S_IFLNK : S_IFREG;
}

struct node *tmp_make(const struct place *p, enum kind kind, uint32_t mode)
{
	char *name = tree_name(p->name, p->name_len);
	struct node *n = name ? tree_new(name, p->name_len, kind, mode | type_of(kind)) : NULL;

	if (!n) {
		struct node unused = { .name = name, .own_name = name != NULL };

		tree_name_free(&unused);
		return NULL;
	}
	n->own_name = 1;
	n->nlink = kind == KIND_DIRECTORY ? 2 : 1;
	n->mtime_ns = p->dir->mtime_ns = (int64_t)clock_real_ns();
	tree_add(p->dir, n);
	return n;
}

struct node *tmp_make_link(const struct place *p, const char *target)
{
	uint64_t size = strlen(target);
	uint8_t *copy = memory_take(1);
	struct node *n = copy ? tmp_make(p, KIND_LINK, 0777) : NULL;

	if (!n) {
		memory_give_back(copy, 1);
		return NULL;
	}
	memcpy(copy, target, size + 1);
	n->data = copy;
	n->size = size;
	n->own_data = 1;
	return n;
}

static void tmp_free(struct node *n)
{
	if (n->kind == KIND_REGULAR)
		contents_resize(n, 0);
	if (n->kind == KIND_LINK && n->own_data)
		memory_give_back((void *)(uintptr_t)n->data, 1);
	tree_free(n);
}

void tmp_remove(struct node *n)
{
	n->parent->mtime_ns = (int64_t)clock_real_ns();
	tree_remove(n);
	n->parent = &tree_root;
	n->gone = 1;
	n->writable = n->kind == KIND_REGULAR;
	n->nlink = 0;
	if (n->refs == 0)
		tmp_free(n);
}

int tmp_move(struct node *n, struct node *dir, const char *name, uint32_t len)
{
	char *copy = tree_name(name, len);

	if (!copy)
		return -ENOSPC;
	n->parent->mtime_ns = dir->mtime_ns = (int64_t)clock_real_ns();
	tree_remove(n);
	tree_name_free(n);
	n->name = copy;
	n->name_len = len;
	n->own_name = 1;
	tree_add(dir, n);
	return 0;
}

void tmp_get(struct node *n)
{
	if (n)
		n->refs++;
}

void tmp_put(struct node *n)
{
	if (n && --n->refs == 0 && n->gone)
		tmp_free(n);
}
