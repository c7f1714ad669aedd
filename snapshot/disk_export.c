/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/disk_export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/disks.h"
#include "snapshot/io.h"

#define PART ((uint64_t)256 * BLOCKS_SIZE) /* ours: what is in memory of it */

/* Lay the frozen blocks among the @len bytes from block @first on over them. */
static void lay_over(uint8_t *buf, const struct blocks *frozen, uint64_t first, uint64_t len)
{
	uint64_t n = ALIGN_UP(len, (uint64_t)BLOCKS_SIZE) / BLOCKS_SIZE;

	for (uint64_t i = 0; i < n; i++) {
		if (blocks_have(frozen, first + i))
			memcpy(buf + i * BLOCKS_SIZE, frozen->data + (first + i) * BLOCKS_SIZE,
			       blocks_len(frozen, first + i));
	}
}

static int write_part(int fd, const uint8_t *buf, uint64_t len, uint64_t off, struct err *err)
{
	int ret = 0;

	for (uint64_t at = 0; at < len && ret == 0; at += BLOCKS_SIZE) {
		uint64_t n = MIN(len - at, (uint64_t)BLOCKS_SIZE);

		if (!io_is_zero(buf + at, n))
			ret = io_write(fd, buf + at, n, off + at, err);
	}
	return ret;
}

static int write_parts(const struct disk *disk, int fd, uint8_t *buf, struct err *err)
{
	const uint64_t size = disk->drive.size;
	int ret = 0;

	for (uint64_t off = 0; off < size && ret == 0; off += PART) {
		uint64_t len = MIN(size - off, PART);

		ret = io_read(disk->drive.fd, buf, len, off, err);
		if (ret < 0)
			break;
		lay_over(buf, &disk->frozen, off / BLOCKS_SIZE, len);
		ret = write_part(fd, buf, len, off, err);
	}
	return ret;
}

int disk_export(const struct disk *disk, int fd, struct err *err)
{
	uint8_t *buf = malloc(PART);
	int ret;

	if (!buf)
		return err_set(err, ENOMEM, "no memory for a part of a drive");
	if (ftruncate(fd, (off_t)disk->drive.size) < 0)
		ret = err_sys(err, "size the copy of a drive");
	else
		ret = write_parts(disk, fd, buf, err);
	free(buf);
	return ret;
}
