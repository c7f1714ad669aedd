/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/function_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void write_text(struct function_log *l, const void *text, size_t len)
{
	if (l->fd >= 0 && l->size + len > FUNCTION_LOG_MAX)
		rotate(l);
	if (l->fd >= 0 && write(l->fd, text, len) == (ssize_t)len)
		l->size += len;
}

void function_log_flush(struct function_log *l)
{
	if (l->len > 0)
		write_text(l, l->text, l->len);
	l->len = 0;
}

void function_log_add(struct function_log *l, const void *text, size_t len)
{
	if (len > sizeof(l->text) - l->len)
		function_log_flush(l);
	if (len > sizeof(l->text)) {
		write_text(l, text, len);
		return;
	}
	memcpy(l->text + l->len, text, len);
	l->len += len;
}

void function_log_close(struct function_log *l)
{
	function_log_flush(l);
	fd_cleanup(&l->fd);
	free(l->path);
	*l = (struct function_log){ .fd = -1 };
}

static int open_part(const char *dir, const char *name, const char *suffix, struct stat *st)
{
	auto_free char *path = NULL;
	auto_close int fd = -1;

	if (asprintf(&path, "%s/%s.log%s", dir, name, suffix) < 0) {
		path = NULL;
		return -1;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && fstat(fd, st) == 0 ? fd_take(&fd) : -1;
}

static size_t read_part(int fd, struct function_log_mark *mark, char *text, size_t max)
{
	ssize_t n = pread(fd, text, max, (off_t)mark->offset);

	mark->offset += n > 0 ? (uint64_t)n : 0;
	return n > 0 ? (size_t)n : 0;
}

size_t function_log_read(const char *dir, const char *name, struct function_log_mark *mark,
			 char *text, size_t max)
{
	struct stat now, before;
	auto_close int fd = open_part(dir, name, "", &now);
	auto_close int old = -1;
	size_t n = 0;

	if (fd < 0)
		return 0;
	if (mark->inode == 0)
		*mark = (struct function_log_mark){
			now.st_ino, (uint64_t)MAX(now.st_size - (off_t)max, (off_t)0)
		};
	if (mark->inode != now.st_ino) {
		old = open_part(dir, name, ".1", &before);
		if (old >= 0 && mark->inode == before.st_ino)
			n = read_part(old, mark, text, max);
		if (n > 0)
			return n;
		*mark = (struct function_log_mark){ .inode = now.st_ino };
	}
	return read_part(fd, mark, text, max);
}
