/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/disks.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/vm.h"
#include "snapshot/file_digest.h"
#include "snapshot/image.h"
#include "snapshot/overlay_file.h"

/* ---- opening ---- */

static struct disk *next(struct disks *d, const char *id)
{
	struct disk *disk = &d->disk[d->n++];

	*disk = (struct disk){ .drive.fd = -1, .frozen_fd = -1 };
	snprintf(disk->id, sizeof(disk->id), "%s", id);
	return disk;
}

int disks_add(struct disks *d, const struct disk_spec *spec, struct err *err)
{
	const char *serial = spec->serial ? spec->serial : spec->id;
	struct disk *disk;

	if (d->n == MANIFEST_MAX_DRIVES)
		return err_set(err, E2BIG, "more than %u drives", MANIFEST_MAX_DRIVES);
	disk = next(d, spec->id);
	memcpy(disk->serial, serial, strnlen(serial, sizeof(disk->serial)));
	disk->bytes = spec->bytes;
	disk->ops = spec->ops;
	disk->path = realpath(spec->path, NULL);
	if (!disk->path)
		return err_sys(err, "drive %s: %s", spec->id, spec->path);
	if (strlen(disk->path) >= MANIFEST_PATH_SIZE)
		return err_set(err, ENAMETOOLONG, "drive %s: %s has %zu bytes, at most %u fit",
			       spec->id, disk->path, strlen(disk->path),
			       MANIFEST_PATH_SIZE - 1);
	return drive_open(&disk->drive, disk->path, spec->mode, err);
}

/* Where @c speaks of a drive; its end: nowhere. */
static uint32_t find_choice(const struct disk_choices *c, const char *id)
{
	uint32_t i = 0;

	while (i < c->n && strcmp(c->choice[i].id, id) != 0)
		i++;
	return i;
}

static bool has_drive(const struct manifest *m, const char *id)
{
	for (uint32_t i = 0; i < m->ndrives; i++) {
		if (strcmp(m->drives[i].id, id) == 0)
			return true;
	}
	return false;
}

static void choice_close(struct disk_choice *c)
{
	free(c->path);
	fd_cleanup(&c->fd);
	c->path = NULL;
	c->fd = -1;
}

/* What is said of @img's drive @id. There are no more than drives: each is in the list once. NULL, with
 * a sentence: there is none of that name. */
static struct disk_choice *choice_of(struct disk_choices *c, const struct image *img,
				     const char *id, struct err *err)
{
	struct disk_choice *choice = &c->choice[find_choice(c, id)];

	if (!has_drive(&img->manifest, id)) {
		err_set(err, EINVAL, "%s has no drive '%s'", img->name, id);
		return NULL;
	}
	if (choice == &c->choice[c->n]) {
		c->n++;
		*choice = (struct disk_choice){ .fd = -1 };
		snprintf(choice->id, sizeof(choice->id), "%s", id);
	}
	return choice;
}

int disks_choose(struct disk_choices *c, const struct image *img, const char *id,
		 const char *path, int fd, struct err *err)
{
	struct disk_choice *choice, is = { .fd = -1 };

	if (!path && fd < 0)
		return err_set(err, EINVAL, "drive '%s': neither a path nor a descriptor", id);
	choice = choice_of(c, img, id, err);
	if (!choice)
		return -EINVAL;
	if (path)
		is.path = strdup(path);
	else
		is.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (!is.path && is.fd < 0)
		return path ? err_set(err, ENOMEM, "no memory for a path")
			    : err_sys(err, "duplicate descriptor %d", fd);
	choice_close(choice);
	choice->path = is.path;
	choice->fd = is.fd;
	return 0;
}

int disks_limit(struct disk_choices *c, const struct image *img, const char *id,
		const struct rate_limit *bytes, const struct rate_limit *ops, struct err *err)
{
	struct disk_choice *choice = choice_of(c, img, id, err);

	if (!choice)
		return -EINVAL;
	if (bytes) {
		choice->limits_bytes = true;
		choice->bytes = *bytes;
		choice->bytes.is_new = true;
	}
	if (ops) {
		choice->limits_ops = true;
		choice->ops = *ops;
		choice->ops.is_new = true;
	}
	return 0;
}

void disk_choices_close(struct disk_choices *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		choice_close(&c->choice[i]);
	c->n = 0;
}

static int open_file(struct disk *disk, const struct manifest_drive *m,
		     const struct disk_choice *choice, struct err *err)
{
	enum drive_mode mode = m->read_only ? DRIVE_RO : DRIVE_OVERLAY;
	int fd;

	if (choice && choice->fd >= 0) {
		fd = fcntl(choice->fd, F_DUPFD_CLOEXEC, 0);
		return fd < 0 ? err_sys(err, "duplicate descriptor %d", choice->fd)
			      : drive_adopt(&disk->drive, fd, mode, err);
	}
	disk->path = strdup(choice && choice->path ? choice->path : m->path);
	if (!disk->path)
		return err_set(err, ENOMEM, "no memory for a path");
	return drive_open(&disk->drive, disk->path, mode, err);
}

/* Of a block device nobody can tell whether it is what it was, without reading all of it at each
 * start: that is its owner's to know. Its digest is zero. */
static int digest(const struct disk *disk, struct digest *out, struct err *err)
{
	struct stat st;
	char name[64];

	*out = (struct digest){ 0 };
	if (fstat(disk->drive.fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!S_ISREG(st.st_mode))
		return 0;
	snprintf(name, sizeof(name), "drive-%jx-%jx", (uintmax_t)st.st_dev,
		 (uintmax_t)st.st_ino);
	return file_digest(out, disk->drive.fd, name, disk->drive.size, NULL, err);
}

static int check_file(const struct disk *disk, const struct manifest_drive *m, struct err *err)
{
	static const struct digest unknown;
	struct digest is;
	int ret;

	if (disk->drive.size != m->size)
		return err_set(err, ESTALE,
			       "has %" PRIu64
			       " bytes, when the machine was frozen it had %" PRIu64,
			       disk->drive.size, m->size);
	ret = digest(disk, &is, err);
	if (ret < 0 || digest_equal(&m->sha256, &unknown) || digest_equal(&is, &unknown))
		return ret;
	if (!digest_equal(&is, &m->sha256))
		return err_set(err, ESTALE,
			       "has another content than when the machine was frozen");
	return 0;
}

static void set_limits(struct disk *disk, const struct manifest_drive *m,
		       const struct disk_choice *choice)
{
	disk->bytes = choice && choice->limits_bytes ? choice->bytes : m->bytes;
	disk->ops = choice && choice->limits_ops ? choice->ops : m->ops;
}

static int open_disk(struct disks *d, const struct image *img, uint32_t i,
		     const struct disk_choices *choices, struct err *err)
{
	const struct manifest_drive *m = &img->manifest.drives[i];
	uint32_t chosen = choices ? find_choice(choices, m->id) : 0;
	const struct disk_choice *choice =
		choices && chosen < choices->n ? &choices->choice[chosen] : NULL;
	struct disk *disk = next(d, m->id);
	int ret = open_file(disk, m, choice, err);

	set_limits(disk, m, choice);
	if (ret == 0)
		ret = check_file(disk, m, err);
	if (ret < 0)
		return err_wrap(err, ret, "%s: drive %s: %s", img->name, m->id,
				disk->path ? disk->path : "its descriptor");
	if (img->disk_fds[i] < 0)
		return 0;
	ret = overlay_file_load(img->disk_fds[i], m->size,
				&img->manifest.files[MANIFEST_DISK + i].sha256, &disk->frozen,
				&disk->frozen_fd, err);
	return ret < 0 ? image_wrap(img, (enum manifest_member)(MANIFEST_DISK + i), ret, err)
		       : 0;
}

int disks_open(struct disks *d, const struct image *img, const struct disk_choices *choices,
	       struct err *err)
{
	int ret = 0;

	*d = (struct disks){ 0 };
	for (uint32_t i = 0; i < img->manifest.ndrives && ret == 0; i++)
		ret = open_disk(d, img, i, choices, err);
	if (ret < 0)
		disks_close(d);
	return ret;
}

static int clone_disk(struct disk *to, const struct disk *from, int file, struct err *err)
{
	to->drive = from->drive;
	to->drive.mode = from->drive.mode == DRIVE_RO ? DRIVE_RO : DRIVE_OVERLAY;
	to->drive.fd = fcntl(from->drive.fd, F_DUPFD_CLOEXEC, 0);
	if (to->drive.fd < 0)
		return err_sys(err, "duplicate a drive's descriptor");
	return file < 0 ? 0
			: overlay_file_load(file, to->drive.size, NULL, &to->frozen,
					    &to->frozen_fd, err);
}

int disks_clone(struct disks *out, const struct disks *d, const int *files, struct err *err)
{
	int ret = 0;

	*out = (struct disks){ 0 };
	for (uint32_t i = 0; i < d->n && ret == 0; i++)
		ret = clone_disk(next(out, d->disk[i].id), &d->disk[i], files[i], err);
	if (ret < 0)
		disks_close(out);
	return ret;
}

uint32_t disks_fds(const struct disks *d, int fds[2 * MANIFEST_MAX_DRIVES])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n; i++) {
		fds[n++] = d->disk[i].drive.fd;
		if (d->disk[i].frozen_fd >= 0)
			fds[n++] = d->disk[i].frozen_fd;
	}
	return n;
}

static int check_adopted(struct disk *disk, struct err *err)
{
	off_t end = lseek(disk->drive.fd, 0, SEEK_END);

	/* Not fstat(2), which a shell may not ask. */
	if (end < 0 || (uint64_t)end < disk->drive.size)
		return err_set(err, EINVAL, "drive %s has %lld bytes, expected %" PRIu64,
			       disk->id, (long long)end, disk->drive.size);
	if (disk->frozen_fd < 0)
		return 0;
	return blocks_open(&disk->frozen, disk->frozen_fd, disk->drive.size, err);
}

int disks_adopt(struct disks *d, const int *fds, uint32_t n, struct err *err)
{
	uint32_t wanted = 0, at = 0;
	int ret = 0;

	for (uint32_t i = 0; i < d->n; i++)
		wanted += d->disk[i].frozen_fd < 0 ? 1 : 2;
	if (n != wanted) {
		for (uint32_t i = 0; i < n; i++)
			close(fds[i]);
		for (uint32_t i = 0; i < d->n; i++)
			d->disk[i].frozen_fd = -1; /* nothing of it is ours to close */
		return err_set(err, EINVAL, "%u descriptors of drives, expected %u", n, wanted);
	}
	for (uint32_t i = 0; i < d->n; i++) {
		struct disk *disk = &d->disk[i];

		disk->drive.fd = fds[at++];
		disk->frozen_fd = disk->frozen_fd < 0 ? -1 : fds[at++];
	}
	for (uint32_t i = 0; i < d->n && ret == 0; i++)
		ret = check_adopted(&d->disk[i], err);
	return ret;
}

void disks_close(struct disks *d)
{
	for (uint32_t i = 0; i < d->n; i++) {
		struct disk *disk = &d->disk[i];

		free(disk->path);
		blocks_close(&disk->frozen);
		fd_cleanup(&disk->frozen_fd);
		drive_close(&disk->drive);
	}
	*d = (struct disks){ 0 };
}

/* ---- use ---- */

uint64_t disks_memory(const struct manifest *m)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < m->ndrives; i++)
		size += m->drives[i].read_only ? 0 : m->drives[i].size;
	return size;
}

int disks_describe(const struct disks *d, struct manifest *m, struct err *err)
{
	struct manifest_drive *drives = calloc(MAX(d->n, 1u), sizeof(*drives));
	int ret = 0;

	if (!drives)
		return err_set(err, ENOMEM, "no memory for %u drives", d->n);
	for (uint32_t i = 0; i < d->n && ret == 0; i++) {
		const struct disk *disk = &d->disk[i];

		memcpy(drives[i].id, disk->id, sizeof(drives[i].id));
		snprintf(drives[i].path, sizeof(drives[i].path), "%s", disk->path);
		drives[i].size = disk->drive.size;
		drives[i].read_only = disk->drive.mode == DRIVE_RO;
		drives[i].bytes = disk->bytes;
		drives[i].ops = disk->ops;
		ret = digest(disk, &drives[i].sha256, err);
		if (ret < 0)
			err_wrap(err, ret, "drive %s", disk->id);
	}
	if (ret == 0)
		ret = manifest_set_drives(m, d->n, drives, err);
	free(drives);
	return ret;
}

/* The @n-th disk of @vm, or NULL. */
static struct device *disk_of(const struct vm *vm, uint32_t n)
{
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		if (vm->devices[i]->type == &virtio_blk_type && n-- == 0)
			return vm->devices[i];
	}
	return NULL;
}

int disks_attach(const struct disks *d, struct vm *vm, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < d->n && ret == 0; i++) {
		const struct disk *disk = &d->disk[i];
		struct virtio_blk_drive drive = {
			.drive = &disk->drive,
			.frozen = disk->frozen_fd >= 0 ? &disk->frozen : NULL,
			.bytes = disk->bytes,
			.ops = disk->ops,
		};
		struct device *dev = disk_of(vm, i);

		if (!dev)
			return err_set(err, EINVAL, "%u drives, the machine has %u disks", d->n,
				       i);
		memcpy(drive.serial, disk->serial, sizeof(drive.serial));
		ret = virtio_blk_attach(dev, &drive, err);
		if (ret < 0)
			err_wrap(err, ret, "drive %s", disk->id);
	}
	return ret;
}

const struct overlay *disk_written(const struct vm *vm, uint32_t n)
{
	struct device *dev = disk_of(vm, n);
	const struct overlay *o = dev ? virtio_blk_overlay(dev) : NULL;

	return o && (o->count > 0 || o->frozen) ? o : NULL;
}

int disk_file(struct err *err)
{
	int fd = memfd_create("thaw-disk", MFD_CLOEXEC);

	return fd < 0 ? err_sys(err, "memfd_create for the blocks of a drive") : fd;
}

static int take_file(const struct overlay *o, struct err *err)
{
	auto_close int fd = disk_file(err);
	uint64_t size;
	int ret;

	if (fd < 0)
		return fd;
	ret = overlay_file_write(fd, 0, o, &size, err);
	return ret < 0 ? ret : fd_take(&fd);
}

void disk_files_init(int files[MANIFEST_MAX_DRIVES])
{
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++)
		files[i] = -1;
}

int disk_files_take(int files[MANIFEST_MAX_DRIVES], const struct vm *vm, struct err *err)
{
	int ret = 0;

	disk_files_init(files);
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES && ret >= 0; i++) {
		const struct overlay *o = disk_written(vm, i);

		if (o)
			ret = files[i] = take_file(o, err);
	}
	if (ret < 0)
		disk_files_close(files);
	return MIN(ret, 0);
}

void disk_files_close(int files[MANIFEST_MAX_DRIVES])
{
	for (uint32_t i = 0; i < MANIFEST_MAX_DRIVES; i++)
		fd_cleanup(&files[i]);
	disk_files_init(files);
}
