/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/thawd/copy.h"

#include <errno.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/io.h"

/* Through this process, where the kernel does not copy between the two files. */
static int copy_by_hand(int from, int to, off_t at, off_t end, struct err *err)
{
	uint8_t buf[4096];
	int ret = 0;

	while (ret == 0 && at < end) {
		size_t len = MIN((size_t)(end - at), sizeof(buf));

		ret = io_read(from, buf, len, (uint64_t)at, err);
		if (ret == 0)
			ret = io_write(to, buf, len, (uint64_t)at, err);
		at += (off_t)len;
	}
	return ret;
}

static bool is_not_supported(void)
{
	return errno == ENOSYS || errno == EXDEV || errno == EINVAL || errno == EOPNOTSUPP;
}

static int copy_range(int from, int to, off_t at, off_t end, struct err *err)
{
	off_t out = at;

	while (at < end) {
		ssize_t n = copy_file_range(from, &at, to, &out, (size_t)(end - at), 0);

		if (n == 0)
			return err_set(err, ESTALE, "the file was cut short meanwhile");
		if (n < 0 && is_not_supported())
			return copy_by_hand(from, to, at, end, err);
		if (n < 0 && errno != EINTR)
			return err_sys(err, "copy %jd bytes", (intmax_t)(end - at));
	}
	return 0;
}

int copy_file(int from, int to, struct err *err)
{
	uint64_t size = 0;
	off_t at = 0, end;
	int ret = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	ret = io_file_size(from, &size, err);
	while (ret == 0 && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (end < 0)
			return err_sys(err, "seek");
		ret = copy_range(from, to, at, end, err);
		at = end;
	}
	if (ret == 0 && errno != ENXIO) /* no more data */
		ret = err_sys(err, "seek");
	if (ret == 0 && ftruncate(to, (off_t)size) < 0)
		ret = err_sys(err, "set the size");
	return ret;
}
