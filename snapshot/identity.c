/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "engine/err.h"

static const char *file_name(unsigned int i)
{
	return i < IDENTITY_MANIFEST ? manifest_member_name((enum manifest_member)i)
				     : MANIFEST_NAME;
}

static struct identity_file file_of(const struct stat *st)
{
	return (struct identity_file){ .dev = st->st_dev,
				       .ino = st->st_ino,
				       .size = st->st_size,
				       .mtime = st->st_mtim,
				       .ctime = st->st_ctim };
}

static struct identity_file look(int dirfd, unsigned int i)
{
	struct stat st;

	if (fstatat(dirfd, file_name(i), &st, AT_SYMLINK_NOFOLLOW) < 0)
		return (struct identity_file){ 0 };
	return file_of(&st);
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_file(const struct identity_file *a, const struct identity_file *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       same_time(a->mtime, b->mtime) && same_time(a->ctime, b->ctime);
}

int identity_init(struct identity *id, int dirfd, struct err *err)
{
	char link[32], dir[PATH_MAX] = { 0 };

	/* Where it is, however it was found: source: proc_pid_fd(5). */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", dirfd);
	if (readlink(link, dir, sizeof(dir) - 1) < 0)
		return err_sys(err, "%s", link);
	*id = (struct identity){ .dir = strdup(dir) };
	if (!id->dir)
		return err_set(err, ENOMEM, "no memory for a path");
	return 0;
}

void identity_note(struct identity *id, unsigned int file, const struct stat *st)
{
	id->files[file] = file_of(st);
}

void identity_fini(struct identity *id)
{
	free(id->dir);
	*id = (struct identity){ 0 };
}

bool identity_same(const struct identity *a, const struct identity *b)
{
	for (unsigned int i = 0; i < IDENTITY_FILES; i++) {
		if (!same_file(&a->files[i], &b->files[i]))
			return false;
	}
	return true;
}

static int check_file(const struct identity *id, unsigned int i, const struct identity_file *is,
		      struct err *err)
{
	const struct identity_file *was = &id->files[i];

	if (same_file(is, was))
		return 0;
	return err_set(err, ESTALE, "%s/%s is %s since the image was opened: open it again",
		       id->dir, file_name(i),
		       is->ino == 0	     ? "gone"
		       : is->ino != was->ino ? "another file"
					     : "changed");
}

int identity_check(const struct identity *id, struct err *err)
{
	auto_close int dirfd = open(id->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret = 0;

	if (dirfd < 0)
		return err_set(err, ESTALE, "%s is gone since the image was opened", id->dir);
	for (unsigned int i = 0; i < IDENTITY_FILES && ret == 0; i++) {
		struct identity_file is;

		if (id->files[i].ino == 0)
			continue;
		is = look(dirfd, i);
		ret = check_file(id, i, &is, err);
	}
	return ret;
}

int identity_check_fd(const struct identity *id, enum manifest_member member, int fd,
		      struct err *err)
{
	struct identity_file is;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat %s/%s", id->dir, file_name(member));
	is = file_of(&st);
	return check_file(id, member, &is, err);
}
