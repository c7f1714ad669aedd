/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree.h - the one tree of names: files of the archive (read-only), devices, /proc, and what
 * the program makes under /tmp. One node per name; there are no hard links but those of the
 * archive, which share its contents.
 */
#pragma once

#include <stdint.h>

#define TREE_PATH_MAX 4096u /* bytes with the NUL, as Linux */
#define TREE_NAME_MAX 255u  /* bytes of one part, as Linux */

/* What an open file is. The first ones are also kinds of nodes; the last ones have none. */
enum kind {
	KIND_NONE = 0,
	KIND_DIRECTORY,
	KIND_LINK,
	KIND_REGULAR,
	KIND_TEXT,  /* of /proc: made when it is opened */
	KIND_FD,    /* /proc/self/fd/N: a link to an open file */
	KIND_OTHER, /* a device of the archive, or /dev/tty: cannot be opened */
	KIND_NULL,
	KIND_ZERO,
	KIND_FULL,
	KIND_RANDOM,

	KIND_INPUT,  /* the host's terminal */
	KIND_OUTPUT, /* to the host, as enum abi_log_stream says */
	KIND_EVENT,
	KIND_REPLY,
	KIND_PIPE_IN, /* the end that is read */
	KIND_PIPE_OUT,
	KIND_COUNTER, /* eventfd */
};

struct node {
	enum kind kind;
	uint32_t mode; /* type and permissions, as in stat(2) */
	uint32_t uid, gid;
	uint32_t ino, nlink;
	int64_t mtime_ns;
	struct node *parent;	   /* the root's is the root */
	struct node *next;	   /* sibling */
	struct node *chain;	   /* next one with the same hash */
	struct node *first, *last; /* children, in the order in which they came */
	struct node *other;	   /* archive.c: another name of an empty file with links */
	uint32_t serial;	   /* grows from sibling to sibling */
	uint32_t hash;
	const char *name; /* not ended by NUL */
	uint32_t name_len;
	uint32_t number;     /* KIND_FD: descriptor; KIND_TEXT: enum special_text */
	uint32_t refs;	     /* open files, and the working directory */
	uint8_t writable;    /* below /tmp */
	uint8_t gone;	     /* removed: lives until its last reference is dropped */
	uint8_t own_name;    /* @name is from tree_name */
	uint8_t own_data;    /* KIND_LINK: @data is a page of kindling's */
	uint64_t size;	     /* KIND_REGULAR: contents; KIND_LINK: target */
	const uint8_t *data; /* of the archive, or a link's target; NULL: see pages */
	uint8_t **pages;     /* contents.c: each 4 KiB, or NULL for zeros */
	uint64_t npages;     /* entries of it */
};

/* Where a path leads. */
struct place {
	struct node *dir;  /* what the last part is looked up in */
	const char *name;  /* the last part, until the next walk; not ended by NUL */
	uint32_t name_len; /* 0: the path ends in "." or ".." or is only slashes */
	int slash;	   /* the path ends in a slash */
	struct node *node; /* NULL: nothing of that name */
};

extern struct node tree_root;

/*
 * tree_walk - follow @path from @start, or from the root if it starts with a slash.
 * @follow: also when the last part is a symbolic link.
 * Returns 0, also when only the last part is missing (@p->node is NULL then), -ENOENT,
 * -ENOTDIR, -ELOOP or -ENAMETOOLONG.
 */
int tree_walk(struct node *start, const char *path, int follow, struct place *p);

/* The child of @dir with this name, or NULL. */
struct node *tree_child(const struct node *dir, const char *name, uint32_t len);

/* Put @n under its name into @dir, at the end. The name stays where it is. */
void tree_add(struct node *dir, struct node *n);

/* Take @n out of its directory. */
void tree_remove(struct node *n);

/* A node outside of the tree. @name stays where it is. NULL: no memory. */
struct node *tree_new(const char *name, uint32_t len, enum kind kind, uint32_t mode);

/* The same for the start: put into @dir; ends the machine when there is no memory. */
struct node *tree_place(struct node *dir, const char *name, uint32_t len, enum kind kind,
			uint32_t mode);

/* A directory of this name in @dir, made with tree_place if nothing is there. */
struct node *tree_directory(struct node *dir, const char *name, uint32_t len);

/* The last reference to a node that was removed is gone: it goes too. */
void tree_free(struct node *n);

/* A slash and the path of @n into @path, ended by NUL. Returns its length, -ENOENT when it was
 * removed, or -ENAMETOOLONG. */
int64_t tree_path(const struct node *n, char *path);

/* Memory for a name, filled. NULL: there is none. tree_name_free gives it back. */
char *tree_name(const char *name, uint32_t len);
void tree_name_free(const struct node *n);
