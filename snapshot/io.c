/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/io.h"

#include <errno.h>
#include <inttypes.h>
#include <isa-l/mem_routines.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/err.h"

int io_read(int fd, void *buf, size_t len, uint64_t off, struct err *err)
{
	uint8_t *at = buf;

	while (len > 0) {
		ssize_t n = pread(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "read %zu bytes at offset %" PRIu64, len, off);
		if (n == 0)
			return err_set(err, ERR_DAMAGED,
				       "ends at offset %" PRIu64 ", expected %zu bytes more",
				       off, len);
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_write(int fd, const void *buf, size_t len, uint64_t off, struct err *err)
{
	const uint8_t *at = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, at, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, "write %zu bytes at offset %" PRIu64, len, off);
		at += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int io_file_size(int fd, uint64_t *size, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys(err, "fstat");
	*size = (uint64_t)st.st_size;
	return 0;
}

bool io_is_zero(const void *buf, size_t len)
{
	/* ISA-L only reads; its prototype forgot to say so. */
	return isal_zero_detect((void *)(uintptr_t)buf, len) == 0;
}
