/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/file_digest.h"

#include <errno.h>
#include <fcntl.h>
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

/* One line that says all: which file, in which condition, has which digest. A file changed in
 * the same tick of the file system's clock would look the same, so a young one is not kept. */
#define LINE_SIZE 256
#define MIN_AGE_S 2 /* FAT stamps whole even seconds; the others are finer */

/* All of the line but the digest. Returns 0, or -errno for a file that cannot be in the cache. */
static int describe(int fd, uint64_t size, char line[LINE_SIZE], bool *young)
{
	struct timespec now;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != size)
		return -EINVAL;
	clock_gettime(CLOCK_REALTIME, &now);
	*young = st.st_ctim.tv_sec + MIN_AGE_S >= now.tv_sec;
	snprintf(line, LINE_SIZE, "thaw-file-1 %ju %ju %jd %jd.%09ld %jd.%09ld ",
		 (uintmax_t)st.st_dev, (uintmax_t)st.st_ino, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (intmax_t)st.st_ctim.tv_sec,
		 st.st_ctim.tv_nsec);
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

static bool cache_get(int dirfd, const char *name, const char *line, struct digest *d)
{
	auto_close int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char found[LINE_SIZE + DIGEST_HEX_SIZE + 1] = { 0 };
	size_t len = strlen(line);
	char *hex = found + len;

	if (fd < 0 || !is_private(fd) || read(fd, found, sizeof(found) - 1) <= 0 ||
	    strncmp(found, line, len) != 0 || strlen(hex) != DIGEST_HEX_SIZE)
		return false;
	hex[DIGEST_HEX_SIZE - 1] = '\0'; /* its newline */
	return digest_parse(d, hex);
}

static int cache_write(int dirfd, const char *name, const char *line)
{
	auto_close int fd = openat(dirfd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : io_write(fd, line, strlen(line), 0, NULL);
}

static void cache_put(int dirfd, const char *name, const char *line, const struct digest *d)
{
	char hex[DIGEST_HEX_SIZE], whole[LINE_SIZE + DIGEST_HEX_SIZE + 1], tmp[80];

	digest_hex(d, hex);
	snprintf(whole, sizeof(whole), "%s%s\n", line, hex);
	snprintf(tmp, sizeof(tmp), "%s.%ld", name, (long)getpid());
	unlinkat(dirfd, tmp, 0); /* of a process of that number that was killed */
	if (cache_write(dirfd, tmp, whole) < 0 || renameat(dirfd, tmp, dirfd, name) < 0)
		unlinkat(dirfd, tmp, 0);
}

int file_digest(struct digest *out, int fd, const char *name, uint64_t size,
		const struct io_progress *progress, struct err *err)
{
	char before[LINE_SIZE] = "", after[LINE_SIZE] = "";
	auto_close int dirfd = cache_open();
	bool young = true, trusted;
	int ret;

	trusted = dirfd >= 0 && is_private(dirfd) && describe(fd, size, before, &young) == 0;
	if (trusted && cache_get(dirfd, name, before, out))
		return 0;
	ret = digest_file(out, fd, size, progress, err);
	if (ret < 0 || !trusted || young)
		return ret;
	/* Kept only if it is still the file that it was before it was read. */
	if (describe(fd, size, after, &young) == 0 && strcmp(before, after) == 0)
		cache_put(dirfd, name, after, out);
	return 0;
}
