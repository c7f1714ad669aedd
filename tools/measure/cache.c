/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/measure/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/mem.h"
#include "engine/util.h"
#include "tools/thaw/cmd.h"

/* Pages of a mapping that are in the cache, or -errno. */
static long count_cached(void *at, size_t size)
{
	size_t pages = (size + MEM_PAGE_SIZE - 1) / MEM_PAGE_SIZE;
	auto_free unsigned char *in = malloc(pages + 1);
	long n = 0;

	if (!in)
		return -ENOMEM;
	if (mincore(at, size, in) < 0)
		return -errno;
	for (size_t i = 0; i < pages; i++)
		n += in[i] & 1;
	return n;
}

/* The same of a file. */
static long cached_pages(int fd, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	long n;

	if (at == MAP_FAILED)
		return -errno;
	n = count_cached(at, size);
	munmap(at, size);
	return n;
}

int cache_drop(const char *path, struct thaw_err *err)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	long left;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(cmd_err(err), "%s", path);
	/* Dirty pages are not dropped. */
	if (fsync(fd) < 0 || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) != 0)
		return err_sys(cmd_err(err), "drop %s from the page cache", path);
	left = cached_pages(fd, (size_t)st.st_size);
	if (left < 0)
		return err_set(cmd_err(err), (int)-left, "mincore of %s", path);
	if (left > 0)
		return err_set(cmd_err(err), EBUSY, "%ld pages of %s stay in the page cache",
			       left, path);
	return 0;
}

uint64_t cache_bytes_read(void)
{
	static const char key[] = "read_bytes: ";
	FILE *f = fopen("/proc/self/io", "re");
	char line[128];
	uint64_t n = 0;

	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, strlen(key)) == 0)
			n = strtoull(line + strlen(key), NULL, 10);
	}
	if (f)
		fclose(f);
	return n;
}
