/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/drive.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/clock.h"
#include "engine/err.h"

#define LOCK_WAIT_NS (300 * NSEC_PER_MSEC) /* ours */
#define LOCK_TRIES   30

static int check_access(int fd, enum drive_mode mode, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return err_sys(err, "look at descriptor %d", fd);
	if ((flags & O_ACCMODE) == O_WRONLY || flags & O_PATH)
		return err_set(err, EACCES, "not open for reading");
	if (mode == DRIVE_RW && (flags & O_ACCMODE) != O_RDWR)
		return err_set(err, EACCES, "not open for writing");
	/* It goes to processes that hold a guest, and is to be of no more use to whoever breaks out. */
	if (mode != DRIVE_RW && (flags & O_ACCMODE) != O_RDONLY)
		return err_set(err, EACCES, "open for writing, expected for reading only");
	/* Writes would go to the end of the file, wherever the guest wants them. */
	if (mode == DRIVE_RW && flags & O_APPEND)
		return err_set(err, EACCES, "open for appending only");
	return 0;
}

static int measure(struct drive *d, struct err *err)
{
	struct stat st;
	off_t size;

	if (fstat(d->fd, &st) < 0)
		return err_sys(err, "fstat");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_set(err, EINVAL, "neither a file nor a block device");
	/* Of a block device, fstat does not know it. */
	size = lseek(d->fd, 0, SEEK_END);
	if (size < 0)
		return err_sys(err, "lseek to the end");
	if (size == 0 || size % DRIVE_SECTOR != 0)
		return err_set(err, EINVAL, "has %" PRId64 " bytes, not whole sectors of %u",
			       (int64_t)size, DRIVE_SECTOR);
	d->size = (uint64_t)size;
	return 0;
}

/* The ring of a process that has just ended lets go of its file a moment later. */
static int lock(const struct drive *d, struct err *err)
{
	const struct timespec moment = { .tv_nsec = LOCK_WAIT_NS / LOCK_TRIES };
	bool alone = d->mode == DRIVE_RW;

	for (int i = 0; i < LOCK_TRIES; i++) {
		if (flock(d->fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK)
			return err_sys(err, "flock");
		nanosleep(&moment, NULL);
	}
	return err_set(err, EBUSY,
		       alone ? "is in use, and who writes to it has to be alone"
			     : "is in use by another who writes to it");
}

int drive_adopt(struct drive *d, int fd, enum drive_mode mode, struct err *err)
{
	int ret;

	*d = (struct drive){ .fd = fd, .mode = mode };
	ret = check_access(fd, mode, err);
	if (ret == 0)
		ret = measure(d, err);
	if (ret == 0)
		ret = lock(d, err);
	if (ret < 0)
		drive_close(d);
	return ret;
}

int drive_open(struct drive *d, const char *path, enum drive_mode mode, struct err *err)
{
	/* A FIFO would wait for its other end. */
	int flags = (mode == DRIVE_RW ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK;
	int ret;

	*d = (struct drive){ .fd = -1 };
	ret = open(path, flags);
	if (ret < 0)
		return err_sys(err, "open drive %s", path);
	ret = drive_adopt(d, ret, mode, err);
	return ret < 0 ? err_wrap(err, ret, "drive %s", path) : 0;
}

void drive_close(struct drive *d)
{
	fd_cleanup(&d->fd);
	*d = (struct drive){ .fd = -1 };
}
