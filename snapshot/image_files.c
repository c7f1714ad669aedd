/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/image_files.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/digest.h"
#include "snapshot/io.h"

void image_clear(struct image *img)
{
	*img = (struct image){ .dirfd = -1, .memory_fd = -1, .direct_fd = -1, .raw_fd = -1 };
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++)
		img->disk_fds[i] = -1;
}

void image_set_name(struct image *img, const char *dir)
{
	size_t len = strlen(dir);
	size_t room = sizeof(img->name) - 1;

	if (len <= room)
		memcpy(img->name, dir, len + 1);
	else
		snprintf(img->name, sizeof(img->name), "...%s", dir + len - (room - 3));
}

/* @dir counts from @at_fd. */
static int open_directory(struct image *img, int at_fd, const char *dir, struct err *err)
{
	img->dirfd = openat(at_fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (img->dirfd >= 0)
		return 0;
	if (errno == ENOTDIR)
		return err_set(err, ENOTDIR, "%s is not a directory: an image is one",
			       img->name);
	return err_sys(err, "open %s", img->name);
}

/*
 * Open a file of the image, which must be a regular one and no way out of the directory, and take note
 * which it is. O_NONBLOCK: a FIFO of that name must not keep us waiting. Returns the descriptor.
 */
static int open_file(struct image *img, unsigned int file, const char *name, struct err *err)
{
	auto_close int fd =
		openat(img->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 && errno == ELOOP)
		return err_set(err, ERR_DAMAGED, "%s/%s: is a symbolic link, expected a file",
			       img->name, name);
	if (fd < 0)
		return err_sys(err, "open %s/%s", img->name, name);
	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat %s/%s", img->name, name);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_DAMAGED, "%s/%s: is not a regular file", img->name,
			       name);
	identity_note(&img->identity, file, &st);
	return fd_take(&fd);
}

/* The same for a member that the manifest describes: it must be there, and of that size. */
static int open_described(struct image *img, enum manifest_member member, struct err *err)
{
	const struct manifest_file *file = &img->manifest.files[member];
	auto_close int fd = open_file(img, member, manifest_member_name(member), err);
	uint64_t size;

	if (fd == -ENOENT)
		return image_wrap(img, member,
				  err_set(err, ERR_DAMAGED, "is missing from the image"), err);
	if (fd < 0)
		return fd;
	size = (uint64_t)img->identity.files[member].size;
	if (size != file->size)
		return image_wrap(img, member,
				  err_set(err, ERR_DAMAGED,
					  "has %" PRIu64 " bytes, expected %" PRIu64, size,
					  file->size),
				  err);
	return fd_take(&fd);
}

static int read_manifest(struct image *img, struct err *err)
{
	auto_free char *text = NULL;
	auto_close int fd = open_file(img, IDENTITY_MANIFEST, MANIFEST_NAME, err);
	uint64_t size;
	int ret;

	if (fd == -ENOENT)
		return err_set(err, ENOENT, "%s is not an image: it has no " MANIFEST_NAME,
			       img->name);
	if (fd < 0)
		return fd;
	/* manifest_parse refuses larger ones; reading a byte more lets it say so. */
	size = MIN((uint64_t)img->identity.files[IDENTITY_MANIFEST].size,
		   MANIFEST_MAX_SIZE + 1);
	text = malloc(size + 1);
	if (!text)
		return err_set(err, ENOMEM, "manifest of %" PRIu64 " bytes: out of memory",
			       size);
	ret = io_read(fd, text, size, 0, err);
	if (ret == 0)
		ret = manifest_parse(&img->manifest, text, size, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s/" MANIFEST_NAME, img->name);
	manifest_get_mem(&img->manifest, &img->ram);
	return 0;
}

/* @buf: gets all of a file and must have its digest, before anybody looks at it. */
static int read_checked(int fd, const struct manifest_file *file, void **buf, struct err *err)
{
	struct digest is;
	int ret;

	*buf = malloc(file->size);
	if (!*buf)
		return err_set(err, ENOMEM, "%" PRIu64 " bytes: out of memory", file->size);
	ret = io_read(fd, *buf, file->size, 0, err);
	if (ret == 0)
		ret = digest_of(&is, *buf, file->size, err);
	return ret < 0 ? ret : digest_check(&is, &file->sha256, err);
}

/* A whole member into memory for free(3), also after an error. */
static int read_member(struct image *img, enum manifest_member member, uint64_t max, void **buf,
		       struct err *err)
{
	const struct manifest_file *file = &img->manifest.files[member];
	auto_close int fd = open_described(img, member, err);
	int ret;

	if (fd < 0)
		return fd;
	if (file->size > max)
		ret = err_set(err, ERR_DAMAGED,
			      "has %" PRIu64 " bytes, largest allowed is %" PRIu64, file->size,
			      max);
	else
		ret = read_checked(fd, file, buf, err);
	return ret < 0 ? image_wrap(img, member, ret, err) : 0;
}

static int read_state(struct image *img, struct err *err)
{
	int ret = read_member(img, MANIFEST_STATE, STATE_FILE_MAX_SIZE, &img->state_buf, err);

	if (ret < 0)
		return ret;
	ret = state_file_parse(&img->state, img->state_buf,
			       img->manifest.files[MANIFEST_STATE].size, err);
	return ret < 0 ? image_wrap(img, MANIFEST_STATE, ret, err) : 0;
}

static int read_wset(struct image *img, struct err *err)
{
	uint64_t size = img->manifest.files[MANIFEST_WSET].size;
	auto_free void *buf = NULL;
	int ret;

	if (size == 0)
		return 0;
	ret = read_member(img, MANIFEST_WSET, WSET_MAX_SIZE, &buf, err);
	if (ret < 0)
		return ret;
	ret = wset_parse(&img->wset, buf, size, &img->ram, err);
	return ret < 0 ? image_wrap(img, MANIFEST_WSET, ret, err) : 0;
}

/* memory.lz4 once more, for reads past the page cache. Not every file system has that; and it
 * must be the file that was checked. */
static int open_direct(const struct image *img)
{
	auto_close int fd = openat(img->dirfd, manifest_member_name(MANIFEST_MEMORY),
				   O_RDONLY | O_DIRECT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat is, other;

	if (fd < 0 || fstat(fd, &is) < 0 || fstat(img->memory_fd, &other) < 0 ||
	    is.st_dev != other.st_dev || is.st_ino != other.st_ino)
		return -1;
	return fd_take(&fd);
}

static int open_memory(struct image *img, struct err *err)
{
	const struct manifest *m = &img->manifest;
	int ret;

	img->memory_fd = open_described(img, MANIFEST_MEMORY, err);
	if (img->memory_fd < 0)
		return img->memory_fd;
	ret = frames_open(&img->frames, img->memory_fd, &img->ram,
			  &m->files[MANIFEST_MEMORY].sha256, err);
	if (ret == 0 && img->frames.header.npages != m->stored_pages)
		ret = err_set(err, ERR_DAMAGED,
			      "stores %" PRIu64 " pages, " MANIFEST_NAME " says %" PRIu64,
			      img->frames.header.npages, m->stored_pages);
	if (ret == 0)
		img->frames.direct_fd = img->direct_fd = open_direct(img);
	return ret < 0 ? image_wrap(img, MANIFEST_MEMORY, ret, err) : 0;
}

static int open_raw(struct image *img, struct err *err)
{
	if (img->manifest.files[MANIFEST_RAW].size == 0)
		return 0;
	img->raw_fd = open_described(img, MANIFEST_RAW, err);
	return MIN(img->raw_fd, 0);
}

/* What is in there is checked by who reads it (overlay_file_load): it may be as large as the drives. */
static int open_disks(struct image *img, struct err *err)
{
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++) {
		enum manifest_member member = (enum manifest_member)(MANIFEST_DISK + i);

		if (img->manifest.files[member].size == 0)
			continue;
		if (i >= img->manifest.ndrives)
			return image_wrap(img, member,
					  err_set(err, ERR_DAMAGED, "there is no such drive"),
					  err);
		img->disk_fds[i] = open_described(img, member, err);
		if (img->disk_fds[i] < 0)
			return img->disk_fds[i];
	}
	return 0;
}

int image_files_open(struct image *img, int at_fd, const char *dir, struct err *err)
{
	int ret = open_directory(img, at_fd, dir, err);

	if (ret == 0)
		ret = identity_init(&img->identity, img->dirfd, err);
	if (ret == 0)
		ret = read_manifest(img, err);
	if (ret == 0)
		ret = read_state(img, err);
	if (ret == 0)
		ret = open_memory(img, err);
	if (ret == 0)
		ret = open_raw(img, err);
	if (ret == 0)
		ret = read_wset(img, err);
	return ret < 0 ? ret : open_disks(img, err);
}

void image_files_close(struct image *img)
{
	manifest_fini(&img->manifest);
	frames_close(&img->frames);
	wset_fini(&img->wset);
	free(img->state_buf);
	identity_fini(&img->identity);
	fd_cleanup(&img->memory_fd);
	fd_cleanup(&img->direct_fd);
	fd_cleanup(&img->raw_fd);
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++)
		fd_cleanup(&img->disk_fds[i]);
	fd_cleanup(&img->dirfd);
	image_clear(img);
}
