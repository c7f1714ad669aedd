/* SPDX-License-Identifier: Apache-2.0 */
/*
 * util.h - the few macros every file needs, and scope-bound cleanup.
 *
 *	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
 *	...
 *	vm->fd = fd_take(&fd);		// success: ownership moves out of the scope
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)			((a) < (b) ? (a) : (b))
#define MAX(a, b)			((a) > (b) ? (a) : (b))
#define ALIGN_UP(n, to)			(((n) + (to)-1) / (to) * (to))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define auto_close __attribute__((cleanup(fd_cleanup)))
#define auto_free  __attribute__((cleanup(free_cleanup)))
#define must_check __attribute__((warn_unused_result))

static inline void fd_cleanup(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}

/* Hand the descriptor over: returns it and leaves -1, so the cleanup does nothing. */
static inline int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}
