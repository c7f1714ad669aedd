/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/raw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
#include "snapshot/file_digest.h"
#include "snapshot/io.h"

#define STEP_SIZE (1u << 20) /* ours: between two reports of progress */

/* Bytes from @off on that are alike: all zero pages, or none. */
static size_t run_length(const uint8_t *p, size_t off, size_t len, bool *zero)
{
	size_t at = off;

	*zero = io_is_zero(p + at, MEM_PAGE_SIZE);
	while (at < len && io_is_zero(p + at, MEM_PAGE_SIZE) == *zero)
		at += MEM_PAGE_SIZE;
	return at - off;
}

/* Write what is not zero of @len bytes, whole pages. */
static int write_sparse(int fd, const uint8_t *p, size_t len, uint64_t file_off,
			struct err *err)
{
	size_t n;
	bool zero;
	int ret = 0;

	for (size_t at = 0; ret == 0 && at < len; at += n) {
		n = run_length(p, at, len, &zero);
		if (!zero)
			ret = io_write(fd, p + at, n, file_off + at, err);
	}
	return ret;
}

int raw_write(int fd, const struct mem *mem, const struct io_progress *progress,
	      struct digest *out, struct err *err)
{
	auto_digest struct digest_stream s = { 0 };
	uint64_t size = mem_size(mem), done_size = 0;
	int ret = digest_begin(&s, err);

	if (ret == 0 && ftruncate(fd, (off_t)size) < 0)
		ret = err_sys(err, "set the size to %" PRIu64 " bytes", size);
	for (unsigned int i = 0; ret == 0 && i < mem->nregions; i++) {
		const struct mem_region *r = &mem->regions[i];

		for (uint64_t off = 0; ret == 0 && off < r->size; off += STEP_SIZE) {
			ret = write_sparse(fd, r->host + off, STEP_SIZE, done_size, err);
			if (ret == 0)
				ret = digest_add(&s, r->host + off, STEP_SIZE, err);
			done_size += STEP_SIZE;
			io_step(progress, done_size, size);
		}
	}
	return ret < 0 ? ret : digest_end(&s, out, err);
}

static int check_size(int fd, uint64_t size, struct err *err)
{
	uint64_t is;
	int ret = io_file_size(fd, &is, err);

	if (ret == 0 && is != size)
		ret = err_set(err, ERR_DAMAGED, "has %" PRIu64 " bytes, expected %" PRIu64, is,
			      size);
	return ret;
}

int raw_verify(int fd, uint64_t size, const struct digest *expected,
	       const struct io_progress *progress, struct err *err)
{
	struct digest is;
	int ret = check_size(fd, size, err);

	if (ret == 0)
		ret = digest_file(&is, fd, size, progress, err);
	return ret < 0 ? ret : digest_check(&is, expected, err);
}

int raw_check(int fd, const char *id, uint64_t size, const struct digest *expected,
	      const struct io_progress *progress, struct err *err)
{
	struct digest is;
	char name[48];
	int ret = check_size(fd, size, err);

	snprintf(name, sizeof(name), "raw-%.32s", id);
	if (ret == 0)
		ret = file_digest(&is, fd, name, size, progress, err);
	return ret < 0 ? ret : digest_check(&is, expected, err);
}
