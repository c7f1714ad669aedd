/* SPDX-License-Identifier: Apache-2.0 */
/* store_images.c - images come in, and go. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/image.h"
#include "snapshot/io.h"
#include "tools/thawd/copy.h"
#include "tools/thawd/store_state.h"

/* ---- what is there ---- */

/* What an image's code is called: the digest of manifest.json, which has those of all other files. And
 * the bytes of that file. */
static int code_digest(int dirfd, char sha256[STORE_SHA256_SIZE], uint64_t *size,
		       struct err *err)
{
	auto_close int fd =
		openat(dirfd, MANIFEST_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct digest digest;
	int ret;

	if (fd < 0)
		return err_sys(err, "open " MANIFEST_NAME);
	ret = io_file_size(fd, size, err);
	if (ret == 0)
		ret = digest_file(&digest, fd, *size, NULL, err);
	if (ret == 0)
		EVP_EncodeBlock((unsigned char *)sha256, digest.bytes, sizeof(digest.bytes));
	return ret;
}

/* The id of the image that the one in @dir is a layer on; "": none, or not to be found out: who
 * opens it says why. */
static void read_parent(const char *dir, char parent[MANIFEST_ID_SIZE])
{
	auto_close int dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	auto_free char *text = NULL;
	uint64_t size = 0;
	struct manifest m;
	int fd;

	parent[0] = '\0';
	fd = openat(dirfd, MANIFEST_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return;
	if (io_file_size(fd, &size, NULL) == 0 && size > 0 && size <= MANIFEST_MAX_SIZE)
		text = malloc(size);
	if (text && io_read(fd, text, size, 0, NULL) == 0 &&
	    manifest_parse(&m, text, size, NULL) == 0) {
		snprintf(parent, MANIFEST_ID_SIZE, "%s", m.parent);
		manifest_fini(&m);
	}
	close(fd);
}

/* The image in @dir, and those below it: of the store, where it has them. */
static int open_source(const struct store *s, struct image *img, const char *dir,
		       struct err *err)
{
	char parent[MANIFEST_ID_SIZE], path[STORE_PATH_SIZE];

	read_parent(dir, parent);
	if (parent[0] == '\0' || faccessat(s->images_fd, parent, F_OK, 0) < 0)
		return image_open(img, dir, err);
	store_image_path(s, parent, path);
	return image_open_layer(img, dir, path, err);
}

/* ---- one image ---- */

static int copy_member(const struct image *img, int to_dirfd, const char *name, struct err *err)
{
	auto_close int from =
		openat(img->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	auto_close int to =
		openat(to_dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int ret;

	if (from < 0 || to < 0)
		return err_sys(err, "copy %s/%s", img->name, name);
	ret = copy_file(from, to, err);
	if (ret == 0 && fsync(to) < 0)
		ret = err_sys(err, "fsync");
	return ret < 0 ? err_wrap(err, ret, "copy %s/%s", img->name, name) : 0;
}

/* To tmp/ID, all of it on the disk. */
static int copy_image(struct store *s, const struct image *img, struct err *err)
{
	const char *id = img->manifest.id;
	auto_close int dirfd = -1;
	int ret;

	if (mkdirat(s->tmp_fd, id, 0700) < 0)
		return err_sys(err, "make %s/tmp/%s", s->dir, id);
	dirfd = openat(s->tmp_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dirfd < 0)
		return err_sys(err, "open %s/tmp/%s", s->dir, id);
	ret = copy_member(img, dirfd, MANIFEST_NAME, err);
	for (unsigned int i = 0; i < MANIFEST_NMEMBERS && ret == 0; i++) {
		if (img->manifest.files[i].size > 0)
			ret = copy_member(img, dirfd, manifest_member_name(i), err);
	}
	if (ret == 0 && fsync(dirfd) < 0)
		ret = err_sys(err, "fsync %s/tmp/%s", s->dir, id);
	return ret;
}

/* What was read for the copy may not be what was checked. */
static int verify_copy(const struct store *s, const struct image *img, struct err *err)
{
	char path[STORE_PATH_SIZE], parent[STORE_PATH_SIZE];
	bool is_layer = manifest_is_layer(&img->manifest);
	struct image copy;
	int ret;

	snprintf(path, sizeof(path), "%s/tmp/%s", s->dir, img->manifest.id);
	store_image_path(s, img->manifest.parent, parent);
	ret = is_layer ? image_open_layer(&copy, path, parent, err)
		       : image_open(&copy, path, err);
	if (ret < 0)
		return ret;
	ret = image_verify(&copy, NULL, NULL, err);
	if (ret == 0 && strcmp(copy.manifest.id, img->manifest.id) != 0)
		ret = err_set(err, ESTALE, "%s was changed meanwhile", img->name);
	image_close(&copy);
	return ret;
}

/* Is what is written down of an image with that id true of @img? Returns 1; 0: nothing is. */
static int is_known(struct store *s, const struct image *img, struct err *err)
{
	char sha256[STORE_SHA256_SIZE];
	uint64_t size;
	int ret = code_digest(img->dirfd, sha256, &size, err);

	if (ret == 0)
		ret = DB_QUERY(&s->write, STORE_GET_IMAGE, err, DB_TEXT(img->manifest.id));
	if (ret == 1 && strcmp(db_text(&s->write, STORE_GET_IMAGE, 0), sha256) != 0)
		ret = err_set(err, EEXIST, "%s: the store has another image with the id %s",
			      img->name, img->manifest.id);
	db_end(&s->write, STORE_GET_IMAGE);
	return ret;
}

/* Is it there already? Returns 1, or 0: no, or what is there cannot be used. */
static int is_there(struct store *s, const struct image *img, struct err *err)
{
	char path[STORE_PATH_SIZE];
	struct image there;
	int ret = is_known(s, img, err);

	if (ret <= 0)
		return ret;
	store_image_path(s, img->manifest.id, path);
	if (image_open(&there, path, NULL) < 0)
		return 0;
	image_close(&there);
	return 1;
}

/* From tmp/ to its place. Whatever is there is of no use, and ends in tmp/. */
static int put_in_place(struct store *s, const char *id, struct err *err)
{
	int ret = renameat2(s->tmp_fd, id, s->images_fd, id, RENAME_NOREPLACE);

	if (ret < 0 && errno == EEXIST)
		ret = renameat2(s->tmp_fd, id, s->images_fd, id, RENAME_EXCHANGE);
	if (ret < 0 || fsync(s->images_fd) < 0)
		return err_sys(err, "put image %s into %s/images", id, s->dir);
	return 0;
}

static int place(struct store *s, const struct image *img, struct err *err)
{
	int ret = is_there(s, img, err);

	if (ret != 0)
		return MIN(ret, 0);
	ret = copy_image(s, img, err);
	if (ret == 0)
		ret = verify_copy(s, img, err);
	if (ret == 0)
		ret = put_in_place(s, img->manifest.id, err);
	store_clear_tmp(s);
	return ret;
}

/* ---- what it is written down as ---- */

static int write_down(struct store *s, const struct image *img, struct err *err)
{
	const struct manifest *m = &img->manifest;
	char path[STORE_PATH_SIZE], sha256[STORE_SHA256_SIZE];
	auto_close int dirfd = -1;
	uint64_t size = 0;
	int ret;

	store_image_path(s, m->id, path);
	dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = code_digest(dirfd, sha256, &size, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s", path);
	for (unsigned int i = 0; i < MANIFEST_NMEMBERS; i++)
		size += m->files[i].size;
	ret = DB_RUN(&s->write, STORE_PUT_IMAGE, err, DB_TEXT(m->id),
		     DB_TEXT(manifest_is_layer(m) ? m->parent : NULL), DB_TEXT(sha256),
		     DB_INT(size));
	return MIN(ret, 0);
}

/* Parents first: a layer cannot be opened, nor written down, without. */
static int bring_in(struct store *s, const struct image *img, struct err *err)
{
	int ret = 0;

	if (img->parent) /* at most IMAGE_MAX_LAYERS deep */
		ret = bring_in(s, img->parent, err);
	if (ret == 0)
		ret = place(s, img, err);
	return ret < 0 ? ret : write_down(s, img, err);
}

int store_import(struct store *s, const char *dir, char id[MANIFEST_ID_SIZE], struct err *err)
{
	struct image img;
	int ret = open_source(s, &img, dir, err);

	if (ret < 0)
		return ret;
	ret = db_begin(&s->write, err);
	if (ret == 0)
		ret = db_commit(&s->write, bring_in(s, &img, err), err);
	if (ret == 0)
		snprintf(id, MANIFEST_ID_SIZE, "%s", img.manifest.id);
	image_close(&img);
	return ret;
}

/* ---- removal ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	/* What cannot be removed stays until the store is opened again. */
	if (ftw->level > 0)
		(void)remove(path);
	return 0;
}

void store_clear_tmp(struct store *s)
{
	char path[STORE_PATH_SIZE];

	snprintf(path, sizeof(path), "%s/tmp", s->dir);
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Those that are written down, one layer of unused ones. Returns how many went. */
static int sweep_layer(struct store *s, struct err *err)
{
	char id[MANIFEST_ID_SIZE];
	int n = 0, ret = db_begin(&s->write, err);

	if (ret < 0)
		return ret;
	ret = DB_QUERY(&s->write, STORE_UNUSED_IMAGES, err);
	while (ret == 1) {
		snprintf(id, sizeof(id), "%s", db_text(&s->write, STORE_UNUSED_IMAGES, 0));
		ret = store_take_away(s, id, err);
		n += ret == 1;
		if (ret == 1)
			ret = DB_RUN(&s->write, STORE_DELETE_IMAGE, err, DB_TEXT(id));
		if (ret >= 0)
			ret = db_next(&s->write, STORE_UNUSED_IMAGES, err);
	}
	db_end(&s->write, STORE_UNUSED_IMAGES);
	ret = db_commit(&s->write, ret, err);
	return ret < 0 ? ret : n;
}

/* Those that are not. */
static int sweep_unknown(struct store *s, struct err *err)
{
	int fd = openat(s->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int ret = 0;

	if (!stream) {
		ret = err_sys(err, "read %s/images", s->dir);
		fd_cleanup(&fd);
		return ret;
	}
	/* The stream is ours alone, which is all that readdir asks for. */
	while (ret >= 0 && (entry = readdir(stream))) { /* NOLINT(concurrency-mt-unsafe) */
		if (entry->d_name[0] == '.')
			continue;
		ret = DB_QUERY(&s->write, STORE_GET_IMAGE, err, DB_TEXT(entry->d_name));
		db_end(&s->write, STORE_GET_IMAGE);
		if (ret == 0)
			ret = store_take_away(s, entry->d_name, err);
	}
	closedir(stream);
	return MIN(ret, 0);
}

int store_sweep(struct store *s, struct err *err)
{
	int ret;

	do {
		ret = sweep_layer(s, err);
	} while (ret > 0);
	if (ret == 0)
		ret = sweep_unknown(s, err);
	store_clear_tmp(s);
	return ret;
}
