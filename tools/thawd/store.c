/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - the directory. */
#include "tools/thawd/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "tools/thawd/store_state.h"

/* Returns a descriptor of a directory that is made if it is not there. For its owner only: images
 * hold what was in a guest's memory. */
static int make_directory(int at_fd, const char *name, struct err *err)
{
	int fd;

	if (mkdirat(at_fd, name, 0700) < 0 && errno != EEXIST)
		return err_sys(err, "make directory %s", name);
	fd = openat(at_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? err_sys(err, "open directory %s", name) : fd;
}

static int lock(const struct store *s, struct err *err)
{
	if (flock(s->dir_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(err, EBUSY, "%s is in use by another thawd", s->dir);
	return err_sys(err, "lock %s", s->dir);
}

static int open_directories(struct store *s, const char *dir, struct err *err)
{
	int ret;

	if (strlen(dir) >= sizeof(s->dir))
		return err_set(err, ENAMETOOLONG, "%.80s...: the path has more than %zu bytes",
			       dir, sizeof(s->dir) - 1);
	snprintf(s->dir, sizeof(s->dir), "%s", dir);
	s->dir_fd = make_directory(AT_FDCWD, dir, err);
	if (s->dir_fd < 0)
		return s->dir_fd;
	ret = lock(s, err);
	if (ret < 0)
		return ret;
	s->images_fd = make_directory(s->dir_fd, "images", err);
	if (s->images_fd < 0)
		return s->images_fd;
	s->tmp_fd = make_directory(s->dir_fd, "tmp", err);
	if (s->tmp_fd < 0)
		return s->tmp_fd;
	if (fsync(s->dir_fd) < 0)
		return err_sys(err, "fsync %s", dir);
	return 0;
}

static int open_databases(struct store *s, struct err *err)
{
	char path[STORE_PATH_SIZE];
	int ret;

	snprintf(path, sizeof(path), "%s/thawd.db", s->dir);
	ret = db_open(&s->write, path, &store_kind, store_statements, STORE_NSTATEMENTS, err);
	if (ret == 0)
		ret = db_open(&s->read, path, &store_kind, store_statements, STORE_NSTATEMENTS,
			      err);
	return ret;
}

int store_open(struct store **store, const char *dir, struct err *err)
{
	struct store *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return err_set(err, ENOMEM, "open %s: out of memory", dir);
	s->dir_fd = s->images_fd = s->tmp_fd = -1;
	pthread_mutex_init(&s->write_lock, NULL);
	pthread_mutex_init(&s->read_lock, NULL);
	pthread_mutex_init(&s->hold_lock, NULL);
	ret = open_directories(s, dir, err);
	if (ret == 0) {
		store_clear_tmp(s);
		ret = open_databases(s, err);
	}
	if (ret == 0)
		ret = store_sweep(s, err);
	if (ret < 0) {
		store_close(s);
		return ret;
	}
	*store = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	db_close(&s->read);
	db_close(&s->write);
	store_drop_holds(s);
	fd_cleanup(&s->tmp_fd);
	fd_cleanup(&s->images_fd);
	fd_cleanup(&s->dir_fd);
	pthread_mutex_destroy(&s->write_lock);
	pthread_mutex_destroy(&s->read_lock);
	pthread_mutex_destroy(&s->hold_lock);
	free(s);
}

void store_image_path(const struct store *s, const char *image, char path[STORE_PATH_SIZE])
{
	snprintf(path, STORE_PATH_SIZE, "%s/images/%s", s->dir, image);
}

int store_collect(struct store *s, struct err *err)
{
	int ret;

	pthread_mutex_lock(&s->write_lock);
	ret = store_sweep(s, err);
	pthread_mutex_unlock(&s->write_lock);
	return ret;
}

/* ---- for those that change something ---- */

int store_begin(struct store *s, struct err *err)
{
	int ret;

	pthread_mutex_lock(&s->write_lock);
	ret = db_begin(&s->write, err);
	if (ret < 0)
		pthread_mutex_unlock(&s->write_lock);
	return ret;
}

int store_commit(struct store *s, int ret, struct err *err)
{
	ret = db_commit(&s->write, ret, err);
	s->changes++;
	return ret;
}

uint64_t store_changes(const struct store *s)
{
	return s->changes;
}

int store_end(struct store *s, int ret, struct err *err)
{
	ret = store_commit(s, ret, err);
	pthread_mutex_unlock(&s->write_lock);
	return MIN(ret, 0);
}

int store_end_and_sweep(struct store *s, int ret, struct err *err)
{
	ret = store_commit(s, ret, err);
	if (ret >= 0)
		store_sweep(s, NULL);
	pthread_mutex_unlock(&s->write_lock);
	return MIN(ret, 0);
}

int store_check_revision(const char *is, const char *wanted, struct err *err)
{
	if (!wanted || strcmp(is, wanted) == 0)
		return 0;
	return err_set(err, ESTALE, "the revision is %s now, expected %.40s", is, wanted);
}
