/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/function_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/util.h"

static void begin(struct function_log *l)
{
	struct stat st;

	l->fd = open(l->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	l->size = l->fd >= 0 && fstat(l->fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void function_log_open(struct function_log *l, const char *dir, const char *name)
{
	*l = (struct function_log){ .fd = -1 };
	if (asprintf(&l->path, "%s/%s.log", dir, name) < 0)
		l->path = NULL;
	else
		begin(l);
}

void function_log_close(struct function_log *l)
{
	fd_cleanup(&l->fd);
	free(l->path);
	*l = (struct function_log){ .fd = -1 };
}

static void rotate(struct function_log *l)
{
	auto_free char *old = NULL;

	if (asprintf(&old, "%s.1", l->path) < 0) {
		old = NULL;
		return;
	}
	if (rename(l->path, old) < 0)
		return;
	fd_cleanup(&l->fd);
	begin(l);
}

void function_log_add(struct function_log *l, const void *text, size_t len)
{
	if (l->fd < 0)
		return;
	if (l->size + len > FUNCTION_LOG_MAX)
		rotate(l);
	if (l->fd >= 0 && write(l->fd, text, len) == (ssize_t)len)
		l->size += len;
}
