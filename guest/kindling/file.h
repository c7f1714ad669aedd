/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - descriptors and open files: the program's terminal (0 to 2), the event and reply
 * streams (3 and 4), and what it opens. Several descriptors may share one open file.
 *
 *	file.c		descriptors
 *	file_open.c	names, opening, the working directory
 *	file_io.c	moving bytes
 *	file_stat.c	describing
 *	file_edit.c	making, renaming, removing, changing
 *	file_list.c	directories
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"
#include "guest/kindling/tree.h"

#define FILE_MAX 64u /* descriptors, and open files */

struct pipe;

struct file {
	enum kind kind;	   /* KIND_NONE: free */
	uint32_t refs;	   /* descriptors */
	uint32_t flags;	   /* O_ACCMODE, O_APPEND, O_NONBLOCK */
	uint32_t stream;   /* KIND_OUTPUT: enum abi_log_stream; KIND_COUNTER: EFD_SEMAPHORE */
	uint64_t pos;	   /* KIND_REGULAR, KIND_TEXT: bytes; KIND_DIRECTORY: see file_list.c */
	struct node *node; /* what was opened by name, with a reference; else NULL */
	struct pipe *pipe; /* KIND_PIPE_IN, KIND_PIPE_OUT */
	char *text;	   /* KIND_TEXT: a page of kindling's */
	uint64_t count;	   /* KIND_COUNTER: its value; KIND_TEXT: bytes */
};

/* @terminal: does the host answer the INPUT doorbell? */
void file_init(int terminal);

/* The open file of descriptor @fd, or NULL. */
struct file *file_get(uint64_t fd);

/* The same if it can be read, or written. Else NULL. */
struct file *file_get_reader(uint64_t fd);
struct file *file_get_writer(uint64_t fd);

/* A free open file, all else zero, or NULL. It is taken when it has a descriptor. */
struct file *file_new(enum kind kind, uint32_t flags);

/* Give @f the lowest free descriptor from @from up. Returns it or -EMFILE. */
int64_t file_add(struct file *f, uint64_t from, int cloexec);

/* Close descriptor @fd, which is open. */
void file_drop(uint64_t fd);

/* The regular file of descriptor @fd, to map it. Returns 0, -EBADF, -EACCES or -ENODEV. */
int file_mappable(uint64_t fd, const struct node **n);

/*
 * file_walk - where the program's string @addr leads.
 * @dirfd: where a relative path starts, as openat.
 * file_find: the node there, which has to exist.
 * Returns 0 or -errno.
 */
int file_walk(uint64_t dirfd, uint64_t addr, int follow, struct place *p);
int file_find(uint64_t dirfd, uint64_t addr, int follow, struct node **n);

/* The same, or what descriptor @dirfd is itself, if @flags has AT_EMPTY_PATH and the string is
 * empty. @f is NULL when it was found by name, else @n is NULL if it has none. */
int file_find_empty(uint64_t dirfd, uint64_t addr, uint64_t flags, struct node **n,
		    const struct file **f);

/* file.c */
call_fn file_close, file_close_range, file_dup, file_dup2, file_dup3, file_control, file_ioctl;
call_fn file_lock;

/* file_open.c */
call_fn file_open, file_openat, file_creat, file_getcwd, file_chdir, file_fchdir, file_umask;

/* file_io.c */
call_fn file_read, file_write, file_readv, file_writev, file_pread, file_pwrite, file_seek;
call_fn file_send;

/* file_stat.c */
call_fn file_stat, file_lstat, file_fstat, file_fstatat, file_statx, file_statfs, file_fstatfs;
call_fn file_access, file_accessat, file_readlink, file_readlinkat;

/* file_edit.c */
call_fn file_mkdir, file_mkdirat, file_rmdir, file_unlink, file_unlinkat, file_symlink;
call_fn file_symlinkat, file_rename, file_renameat, file_renameat2, file_link, file_truncate;
call_fn file_ftruncate, file_chmod, file_fchmod, file_fchmodat, file_chown, file_lchown;
call_fn file_fchown, file_fchownat, file_utimensat, file_sync;

/* file_list.c */
call_fn file_list;

/* The permissions that the program's umask leaves of @mode. */
uint32_t file_mode(uint64_t mode);
