/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disks.h - the drives of machines as they are on this host: the files, opened and locked, and what
 * had been written to them before their machine was frozen. Shared by all clones of a template.
 */
#pragma once

#include "devices/blocks.h"
#include "devices/drive.h"
#include "devices/virtio_blk.h"
#include "snapshot/manifest.h"

struct err;
struct image;
struct overlay;
struct vm;

struct disk {
	char id[sizeof(((struct manifest_drive *)NULL)->id)];
	char *path; /* owned; NULL: it was handed over as a descriptor */
	struct drive drive;
	struct blocks frozen;
	int frozen_fd;			  /* behind @frozen; -1: nothing had been written */
	char serial[VIRTIO_BLK_ID_BYTES]; /* of a machine that boots */
	struct rate_limit bytes, ops;
};

struct disks {
	uint32_t n;
	struct disk disk[MANIFEST_MAX_DRIVES];
};

/* One of a machine that is to be booted. */
struct disk_spec {
	const char *id, *path;
	enum drive_mode mode;
	const char *serial; /* as many bytes of it as there may be; NULL: of @id */
	struct rate_limit bytes, ops;
};

/* What a start says of a drive, in place of what the manifest does. */
struct disk_choice {
	char id[sizeof(((struct manifest_drive *)NULL)->id)];
	char *path; /* owned; NULL: @fd */
	int fd;	    /* owned; -1: @path, or where that is NULL, the manifest's file */
	bool limits_bytes, limits_ops;
	struct rate_limit bytes, ops;
};

struct disk_choices {
	uint32_t n;
	struct disk_choice choice[MANIFEST_MAX_DRIVES];
};

/* From here on, @img's drive @id is @path, or where that is NULL, a duplicate of @fd. Errors: -EINVAL
 * there is no such drive, or neither is given; -ENOMEM; what fcntl says. */
int disks_choose(struct disk_choices *c, const struct image *img, const char *id,
		 const char *path, int fd, struct err *err) must_check;

/* From here on, @img's drive @id has these limits; NULL: its own. Errors: -EINVAL there is no such drive. */
int disks_limit(struct disk_choices *c, const struct image *img, const char *id,
		const struct rate_limit *bytes, const struct rate_limit *ops,
		struct err *err) must_check;
void disk_choices_close(struct disk_choices *c);

/* Errors: as drive_open; -E2BIG. */
int disks_add(struct disks *d, const struct disk_spec *spec, struct err *err) must_check;

/*
 * disks_open - the drives of @img's machines. What a guest writes there stays in its machine.
 * @choices: NULL: none.
 * Errors: -ENOENT no such file; -ESTALE it is not what it was at the freeze; -ERR_DAMAGED,
 * -ERR_UNFIT what had been written.
 */
int disks_open(struct disks *d, const struct image *img, const struct disk_choices *choices,
	       struct err *err) must_check;

/* As they are for clones of a machine that is at rest, without limits: @files as of disk_files_take. @d and
 * @files outlive nothing of @out. Errors: as disks_open. */
int disks_clone(struct disks *out, const struct disks *d, const int *files,
		struct err *err) must_check;
void disks_close(struct disks *d); /* a zeroed one, too */

/*
 * For another process: the descriptors of the drives, a file and what is frozen for each, in order.
 * Returns how many. They stay @d's.
 */
uint32_t disks_fds(const struct disks *d, int fds[2 * MANIFEST_MAX_DRIVES]);

/*
 * disks_adopt - in that process: @d says what the drives are but for their descriptors, .frozen_fd 0
 * where there is one to come.
 * @fds: of @d from here on, also on failure. Needs no path. Errors: -EINVAL they are others.
 */
int disks_adopt(struct disks *d, const int *fds, uint32_t n, struct err *err) must_check;

/* Bytes that a machine may come to keep of what it writes to them. */
uint64_t disks_memory(const struct manifest *m);

/* For a manifest: reads files whose digest is not known yet. Errors: as file_digest; -ENOMEM. */
int disks_describe(const struct disks *d, struct manifest *m, struct err *err) must_check;

/* Give @vm's disks their drives, in order. Before a state is loaded. Errors: -EINVAL another number
 * of them; as virtio_blk_attach. */
int disks_attach(const struct disks *d, struct vm *vm, struct err *err) must_check;

/* What is to be kept of the @n-th drive of @vm, which is at rest; NULL: there is nothing. */
const struct overlay *disk_written(const struct vm *vm, uint32_t n);

/* For one of disk_files_take. Returns a descriptor. Errors: what memfd_create says. */
int disk_file(struct err *err) must_check;

void disk_files_init(int files[MANIFEST_MAX_DRIVES]); /* of none */

/*
 * disk_files_take - what was written to the drives of @vm, which is at rest: a descriptor for each
 * drive that keeps it in the machine, in the form of overlay_file.h; -1: nothing was written.
 */
int disk_files_take(int files[MANIFEST_MAX_DRIVES], const struct vm *vm,
		    struct err *err) must_check;
void disk_files_close(int files[MANIFEST_MAX_DRIVES]);
