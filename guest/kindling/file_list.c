/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/file.h"

#include <linux/errno.h>
#include <stddef.h>

#include "guest/kindling/bytes.h"
#include "guest/kindling/user.h"

/* struct linux_dirent64, without its name: no header of the kernel's has it. */
struct dirent {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

#define DIRENT_NAME __builtin_offsetof(struct dirent, name)

/* Positions in a directory: 0 and 1 are "." and "..", then comes the serial number of a child,
 * plus 1, so that nothing is passed over when others are removed meanwhile. */
#define POS_CHILDREN 2u

struct entry {
	const struct node *node;
	const char *name;
	uint32_t name_len;
	uint64_t next; /* position behind it */
};

/* /proc/self/fd shows the descriptors that are open. */
static int is_hidden(const struct node *n)
{
	return n->kind == KIND_FD && !file_get(n->number);
}

/* The entry at @pos or behind. Returns 0 at the end. */
static int list_next(const struct node *dir, uint64_t pos, struct entry *e)
{
	const struct node *n = dir->first;

	if (pos < POS_CHILDREN) {
		*e = (struct entry){ pos ? dir->parent : dir, "..", (uint32_t)pos + 1,
				     pos + 1 };
		return 1;
	}
	while (n && (n->serial + 1ull < pos || is_hidden(n)))
		n = n->next;
	if (!n)
		return 0;
	*e = (struct entry){ n, n->name, n->name_len, n->serial + 2ull };
	return 1;
}

static void dirent_put(struct dirent *d, const struct entry *e, uint64_t reclen)
{
	d->ino = e->node->ino;
	d->off = (int64_t)e->next;
	d->reclen = (uint16_t)reclen;
	d->type = (uint8_t)(e->node->mode >> 12); /* DT_x is S_IFx without its zeros */
	memcpy(d->name, e->name, e->name_len);
	memset(d->name + e->name_len, 0, reclen - DIRENT_NAME - e->name_len);
}

/* getdents64(fd, buffer, size) */
int64_t file_list(const struct regs *r)
{
	struct file *f = file_get(r->rdi);
	uint64_t size = (uint32_t)r->rdx, done = 0;
	struct entry e;

	if (!f)
		return -EBADF;
	if (f->kind != KIND_DIRECTORY)
		return -ENOTDIR;
	if (!user_can_write(r->rsi, size))
		return -EFAULT;
	while (list_next(f->node, f->pos, &e)) {
		uint64_t reclen = bytes_round_up(DIRENT_NAME + e.name_len + 1, 8);

		if (reclen > size - done)
			return done ? (int64_t)done : -EINVAL;
		dirent_put((struct dirent *)(r->rsi + done), &e, reclen);
		done += reclen;
		f->pos = e.next;
	}
	return (int64_t)done;
}
