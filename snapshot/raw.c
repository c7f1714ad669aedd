/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/raw.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/util.h"
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

int raw_verify(int fd, uint64_t size, const struct digest *expected,
	       const struct io_progress *progress, struct err *err)
{
	struct digest is;
	uint64_t file_size;
	int ret = io_file_size(fd, &file_size, err);

	if (ret == 0 && file_size != size)
		ret = err_set(err, ERR_DAMAGED, "has %" PRIu64 " bytes, expected %" PRIu64,
			      file_size, size);
	if (ret == 0)
		ret = digest_file(&is, fd, size, progress, err);
	return ret < 0 ? ret : digest_check(&is, expected, err);
}

/* ---- the cache ---- */

/* One line that says all: which file, in which condition, had which digest. A file changed in
 * the same tick of the file system's clock would look the same, so a young one is not kept. */
#define CACHE_LINE_SIZE 256
#define CACHE_MIN_AGE_S 2 /* FAT stamps whole even seconds; the others are finer */

/* Returns 0, or -errno for a file that cannot be in the cache. */
static int cache_line(int fd, uint64_t size, const struct digest *d, char line[CACHE_LINE_SIZE],
		      bool *young)
{
	char hex[DIGEST_HEX_SIZE];
	struct timespec now;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size != size)
		return -EINVAL;
	clock_gettime(CLOCK_REALTIME, &now);
	*young = st.st_ctim.tv_sec + CACHE_MIN_AGE_S >= now.tv_sec;
	digest_hex(d, hex);
	snprintf(line, CACHE_LINE_SIZE, "thaw-raw-1 %ju %ju %jd %jd.%09ld %jd.%09ld %s\n",
		 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec,
		 st.st_ctim.tv_nsec, hex);
	return 0;
}

/* The cache's directory, made when it is not there, or -errno. XDG base directories 0.8:
 * relative paths are ignored; what must be made is made 0700. */
static int cache_open(void)
{
	const char *home = secure_getenv("HOME");
	const char *xdg = secure_getenv("XDG_CACHE_HOME");
	auto_free char *base = NULL;
	auto_close int base_fd = -1;
	int n = -1;

	if (xdg && xdg[0] == '/')
		n = asprintf(&base, "%s", xdg);
	else if (home && home[0] == '/')
		n = asprintf(&base, "%s/.cache", home);
	if (n < 0 || !base)
		return -ENOENT;
	mkdir(base, 0700);
	base_fd = open(base, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (base_fd < 0)
		return -errno;
	mkdirat(base_fd, "thaw", 0700);
	n = openat(base_fd, "thaw", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return n < 0 ? -errno : n;
}

/* Only this user may be able to say that a file was checked. */
static bool is_private(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static bool cache_has(int dirfd, const char *name, const char *line)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char found[CACHE_LINE_SIZE] = { 0 };

	return fd >= 0 && is_private(fd) && read(fd, found, sizeof(found) - 1) > 0 &&
	       strcmp(found, line) == 0;
}

static int cache_write(int dirfd, const char *name, const char *line)
{
	auto_close int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : io_write(fd, line, strlen(line), 0, NULL);
}

static void cache_put(int dirfd, const char *name, const char *line)
{
	char tmp[80];

	snprintf(tmp, sizeof(tmp), "%s.%ld", name, (long)getpid());
	unlinkat(dirfd, tmp, 0); /* of a process of that number that was killed */
	if (cache_write(dirfd, tmp, line) < 0 || renameat(dirfd, tmp, dirfd, name) < 0)
		unlinkat(dirfd, tmp, 0);
}

int raw_check(int fd, const char *id, uint64_t size, const struct digest *expected,
	      const struct io_progress *progress, struct err *err)
{
	char before[CACHE_LINE_SIZE] = "", after[CACHE_LINE_SIZE] = "", name[48];
	auto_close int dirfd = cache_open();
	bool young = true, trusted;
	int ret;

	snprintf(name, sizeof(name), "raw-%.32s", id);
	trusted = dirfd >= 0 && is_private(dirfd) &&
		  cache_line(fd, size, expected, before, &young) == 0;
	if (trusted && cache_has(dirfd, name, before))
		return 0;
	ret = raw_verify(fd, size, expected, progress, err);
	if (ret < 0 || !trusted || young)
		return ret;
	/* Kept only if it is still the file that it was before it was read. */
	if (cache_line(fd, size, expected, after, &young) == 0 && strcmp(before, after) == 0)
		cache_put(dirfd, name, after);
	return 0;
}
