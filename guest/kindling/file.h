/* SPDX-License-Identifier: Apache-2.0 */
/*
 * file.h - descriptors: the program's terminal (0 to 2), the event and reply streams (3 and
 * 4), and read-only files of the archive. Several descriptors may share one open file.
 * file.c opens and closes, file_io.c moves bytes, file_stat.c describes.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

#define FILE_MAX 64u /* descriptors, and open files */

enum file_kind {
	FILE_CLOSED = 0,
	FILE_INPUT,  /* the host's terminal, or nothing */
	FILE_OUTPUT, /* to the host, as enum abi_log_stream says */
	FILE_EVENT,
	FILE_REPLY,
	FILE_NULL,
	FILE_ZERO,
	FILE_RANDOM,
	FILE_REGULAR,
	FILE_DIRECTORY,
};

struct archive_file;

struct file {
	enum file_kind kind;
	uint32_t refs;	 /* descriptors */
	uint32_t stream; /* FILE_OUTPUT: enum abi_log_stream */
	uint64_t pos;	 /* FILE_REGULAR: bytes; FILE_DIRECTORY: entries given out */
	const struct archive_file *node; /* FILE_REGULAR, FILE_DIRECTORY */
};

/* @terminal: does the host answer the INPUT doorbell? */
void file_init(int terminal);

/* The open file of descriptor @fd, or NULL. */
struct file *file_get(uint64_t fd);

/* The bytes behind descriptor @fd, to map them. Returns 0, -EBADF or -ENODEV. */
int file_contents(uint64_t fd, const uint8_t **data, uint64_t *size);

/*
 * file_find - what the program's string @addr names: an archive's file, or a device.
 * @dirfd: where a relative path starts, as openat.
 * @kind, @node: as in struct file; @node only for archive files.
 * Returns 0 or -errno.
 */
int file_find(uint64_t dirfd, uint64_t addr, int follow, enum file_kind *kind,
	      const struct archive_file **node);

/* file.c */
call_fn file_open, file_openat, file_close, file_dup, file_dup2, file_dup3, file_control;
call_fn file_seek, file_list, file_ioctl, file_getcwd;

/* file_io.c */
call_fn file_read, file_write, file_readv, file_writev, file_pread;

/* file_stat.c */
call_fn file_stat, file_lstat, file_fstat, file_fstatat, file_access, file_accessat;
call_fn file_readlink, file_readlinkat;
