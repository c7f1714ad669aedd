/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drives.c - a function of Linux machines that does to its disks what it is told, past all caches. DISK
 * is a path, sizes and offsets are bytes:
 *
 *	DISK size		its size, and whether it is read-only: "16777216 rw"
 *	DISK read OFFSET	the text there, up to a NUL
 *	DISK write OFFSET TEXT	"written": it is flushed
 *	DISK fill BYTE		as often as there is room: how many bytes, and why no more
 *	DISK sum		a checksum of all of it
 *	DISK text		like read, of a file
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#define BLOCK (1u << 20)
#define SMALL 4096u

static char block[BLOCK] __attribute__((aligned(SMALL)));
static char event[8192], reply[8192];

#define SAY(...) snprintf(reply, sizeof(reply), __VA_ARGS__)

static void say_error(void)
{
	SAY("%s", strerror(errno));
}

static void tell_size(int fd)
{
	unsigned long long size = 0;
	int read_only = 0;

	if (ioctl(fd, BLKGETSIZE64, &size) < 0 || ioctl(fd, BLKROGET, &read_only) < 0)
		say_error();
	else
		SAY("%llu %s", size, read_only ? "ro" : "rw");
}

static void tell_text(int fd, off_t at)
{
	ssize_t n = pread(fd, block, SMALL, at);

	if (n < 0)
		say_error();
	else
		SAY("%.*s", (int)strnlen(block, (size_t)n), block);
}

static void put_text(int fd, off_t at, const char *text)
{
	memset(block, 0, SMALL);
	snprintf(block, SMALL, "%s", text);
	if (pwrite(fd, block, SMALL, at) != SMALL || fsync(fd) < 0)
		say_error();
	else
		SAY("written");
}

static void fill(int fd, int byte)
{
	unsigned long long done = 0;
	ssize_t n;

	memset(block, byte, sizeof(block));
	while ((n = write(fd, block, sizeof(block))) > 0)
		done += (unsigned long long)n;
	SAY("%llu %s", done, n < 0 ? strerror(errno) : "");
	if (fsync(fd) < 0)
		say_error();
}

static void tell_sum(int fd)
{
	uint64_t sum = 0;
	ssize_t n;

	while ((n = read(fd, block, sizeof(block))) > 0) {
		for (ssize_t i = 0; i < n; i += (ssize_t)sizeof(uint64_t)) {
			uint64_t word;

			memcpy(&word, block + i, sizeof(word));
			sum = sum * 31 + word;
		}
	}
	SAY("%016llx", (unsigned long long)sum);
}

static void obey(int fd, const char *verb, const char *number, const char *text)
{
	off_t at = number ? strtoll(number, NULL, 10) : 0;

	if (strcmp(verb, "size") == 0)
		tell_size(fd);
	else if (strcmp(verb, "read") == 0 || strcmp(verb, "text") == 0)
		tell_text(fd, at);
	else if (strcmp(verb, "write") == 0)
		put_text(fd, at, text ? text : "");
	else if (strcmp(verb, "fill") == 0)
		fill(fd, number ? *number : 0);
	else if (strcmp(verb, "sum") == 0)
		tell_sum(fd);
	else
		SAY("what is %s?", verb);
}

static int open_disk(const char *path, const char *verb)
{
	int writes = strcmp(verb, "write") == 0 || strcmp(verb, "fill") == 0;
	int direct = strcmp(verb, "text") == 0 ? 0 : O_DIRECT;

	return open(path, (writes ? O_RDWR : O_RDONLY) | direct);
}

static void answer(char *rest)
{
	const char *path = strsep(&rest, " ");
	const char *verb = strsep(&rest, " ");
	const char *number = strsep(&rest, " ");
	int fd = verb ? open_disk(path, verb) : -1;

	if (fd < 0)
		say_error();
	else
		obey(fd, verb, number, rest);
	close(fd);
}

int main(void)
{
	ssize_t n;

	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		answer(event);
		if (write(4, reply, strlen(reply)) < 0)
			return 1;
	}
	return 1;
}
