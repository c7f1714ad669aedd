/* SPDX-License-Identifier: Apache-2.0 */
/*
 * writes.c - files that a program makes: everything in a new directory below /tmp, which is
 * removed again. Behaves the same on Linux, as root. Prints "ok" and ends with status 0.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/guest/check.h"

static char dir[] = "/tmp/writes-XXXXXX", buf[65536], got[65536];

static void fill(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static int holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof(got));

	return n == (ssize_t)strlen(text) && memcmp(got, text, strlen(text)) == 0 &&
	       close(fd) == 0;
}

static void contents(void)
{
	int fd = open("new", O_RDWR | O_CREAT | O_EXCL, 0640);
	struct stat st;

	CHECK(fd >= 0);
	CHECK_FAILS(open("new", O_RDWR | O_CREAT | O_EXCL, 0640), EEXIST);
	CHECK_FAILS(open("none", O_RDONLY), ENOENT);
	CHECK_FAILS(open("none/", O_RDONLY | O_CREAT, 0600), EISDIR);
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7 + i / 251);
	CHECK(write(fd, buf, 10000) == 10000 && lseek(fd, 0, SEEK_CUR) == 10000);
	CHECK(pread(fd, got, 5000, 3000) == 5000 && memcmp(got, buf + 3000, 5000) == 0);
	CHECK(pwrite(fd, "abc", 3, 4095) == 3 && pread(fd, got, 5, 4094) == 5);
	CHECK(got[0] == buf[4094] && memcmp(got + 1, "abc", 3) == 0 && got[4] == buf[4098]);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 10000 && (st.st_mode & 07777) == 0640);
	CHECK(st.st_mtime > 1700000000 && S_ISREG(st.st_mode) && st.st_nlink == 1);
	CHECK(ftruncate(fd, 4097) == 0 && ftruncate(fd, 8000) == 0);
	CHECK(pread(fd, got, 8000, 0) == 8000 && got[4096] == 'b' && got[4097] == 0);
	CHECK(got[7999] == 0);
	CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_RDWR | O_APPEND));
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && write(fd, "end", 3) == 3);
	CHECK(lseek(fd, 0, SEEK_CUR) == 8003);
	CHECK_FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_FAILS(ftruncate(fd, -1), EINVAL);
	CHECK(close(fd) == 0);
	fd = open("new", O_RDONLY);
	CHECK_FAILS(write(fd, "x", 1), EBADF);
	CHECK_FAILS(ftruncate(fd, 1), EINVAL);
	CHECK(close(fd) == 0 && truncate("new", 3) == 0 && stat("new", &st) == 0);
	CHECK(st.st_size == 3 && unlink("new") == 0);
}

static void holes(void)
{
	int fd = open("hole", O_RDWR | O_CREAT, 0600);
	struct stat st;

	CHECK(lseek(fd, 1 << 30, SEEK_SET) == 1 << 30 && write(fd, "x", 1) == 1);
	CHECK(pread(fd, got, 10, 12345678) == 10 && got[0] == 0 && got[9] == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == (1 << 30) + 1 && st.st_blocks <= 16);
	CHECK(pread(fd, got, 10, 1 << 30) == 1 && got[0] == 'x');
	CHECK(close(fd) == 0 && unlink("hole") == 0);
}

static void names(void)
{
	struct stat st;
	int fd;

	CHECK(mkdir("d", 0700) == 0 && mkdir("d/e/", 0755) == 0);
	CHECK_FAILS(mkdir("d", 0700), EEXIST);
	CHECK_FAILS(mkdir("d/.", 0700), EEXIST);
	CHECK_FAILS(mkdir("none/d", 0700), ENOENT);
	fill("d/f", "one");
	CHECK_FAILS(rmdir("d"), ENOTEMPTY);
	CHECK_FAILS(rmdir("d/f"), ENOTDIR);
	CHECK_FAILS(unlink("d/e"), EISDIR);
	CHECK_FAILS(rename("d", "d/e/x"), EINVAL);
	CHECK_FAILS(rename("d/f", "d/e"), EISDIR);
	CHECK_FAILS(rename("d/e", "d/f"), ENOTDIR);
	CHECK(rename("d/f", "d/e/g") == 0 && holds("d/e/g", "one"));
	CHECK_FAILS(stat("d/f", &st), ENOENT);
	fill("h", "two");
	CHECK(rename("h", "d/e/g") == 0 && holds("d/e/g", "two"));
	CHECK(rename("d/e/g", "d/e/g") == 0 && rename("d/e", "k") == 0 && holds("k/g", "two"));
	CHECK(stat("d", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(symlink("k/g", "l") == 0 && holds("l", "two") && lstat("l", &st) == 0);
	CHECK(S_ISLNK(st.st_mode) && readlink("l", got, 10) == 3 && memcmp(got, "k/g", 3) == 0);
	CHECK_FAILS(symlink("x", "l"), EEXIST);
	CHECK_FAILS(open("l", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK(symlink("made", "dangling") == 0);
	fill("dangling", "by a link");
	CHECK(holds("made", "by a link") && unlink("made") == 0 && unlink("dangling") == 0);
	CHECK(unlink("l") == 0 && rmdir("d") == 0);

	fd = open("k/g", O_RDWR); /* removed, but open */
	CHECK(unlink("k/g") == 0 && rmdir("k") == 0 && pread(fd, got, 3, 0) == 3);
	CHECK(memcmp(got, "two", 3) == 0 && write(fd, buf, 9000) == 9000);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 9000);
	CHECK(close(fd) == 0);
}

static void extended_attributes(void)
{
#ifdef STATX_BASIC_STATS /* musl had none for long */
	struct statx x;

	CHECK(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &x) == 0 && x.stx_uid == 12);
	CHECK(x.stx_mtime.tv_sec == 1234567890 && (x.stx_mode & 07777) == 0755);
#endif
}

static void attributes(void)
{
	struct timespec t[2] = { { 1, 2 }, { 1234567890, 987654321 } };
	struct stat st;

	umask(027);
	fill("a", "");
	CHECK(stat("a", &st) == 0 && (st.st_mode & 07777) == 0640);
	umask(022);
	CHECK(chmod("a", 0755) == 0 && access("a", X_OK | W_OK) == 0);
	CHECK(chown("a", 12, 34) == 0 && utimensat(AT_FDCWD, "a", t, 0) == 0);
	CHECK(stat("a", &st) == 0 && st.st_uid == 12 && st.st_gid == 34);
	CHECK(st.st_mtim.tv_sec == 1234567890 && st.st_mtim.tv_nsec == 987654321);
	extended_attributes();
	CHECK_FAILS(chmod("none", 0755), ENOENT);
	CHECK(unlink("a") == 0);
}

static void working_directory(void)
{
	int fd;

	CHECK(mkdir("w", 0755) == 0 && chdir("w") == 0);
	CHECK(getcwd(got, sizeof(got)) && strncmp(got, dir, strlen(dir)) == 0);
	CHECK(strcmp(got + strlen(dir), "/w") == 0);
	fill("x", "inside");
	CHECK(holds("../w/x", "inside") && chdir("..") == 0 && holds("w/x", "inside"));
	fd = open("w", O_RDONLY | O_DIRECTORY);
	CHECK(fchdir(fd) == 0 && holds("x", "inside") && unlink("x") == 0);
	CHECK(rmdir("../w") == 0 && close(fd) == 0); /* under our feet */
	CHECK(!getcwd(got, sizeof(got)) && errno == ENOENT);
	CHECK_FAILS(open("y", O_RDWR | O_CREAT, 0600), ENOENT);
	CHECK(chdir(dir) == 0);
	CHECK_FAILS(chdir("none"), ENOENT);
}

/* Reading a directory while its entries go away misses none. */
static void directories(void)
{
	struct dirent *e;
	int n = 0;
	DIR *d;

	CHECK(mkdir("many", 0755) == 0);
	for (int i = 0; i < 2000; i++) {
		snprintf(got, sizeof(got), "many/a-rather-long-name-of-a-file-%d", i);
		fill(got, "");
	}
	d = opendir("many");
	CHECK(d);
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			CHECK(unlinkat(dirfd(d), e->d_name, 0) == 0);
			n++;
		}
	CHECK(n == 2000 && closedir(d) == 0 && rmdir("many") == 0);
}

static void copies(void)
{
	int in, out;
	off_t off = 1;
	char *p;

	fill("from", "some bytes");
	in = open("from", O_RDONLY);
	out = open("to", O_RDWR | O_CREAT, 0600);
	CHECK(sendfile(out, in, &off, 4) == 4 && off == 5 && holds("to", "ome "));
	CHECK(sendfile(out, in, NULL, 100) == 10 && holds("to", "ome some bytes"));
	p = mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_PRIVATE, out, 0);
	CHECK(p != MAP_FAILED && memcmp(p, "ome some bytes", 15) == 0);
	p[0] = 'X';
	CHECK(holds("to", "ome some bytes") && munmap(p, 100) == 0);
	CHECK(close(in) == 0 && close(out) == 0 && unlink("from") == 0 && unlink("to") == 0);
}

static void pipes_and_counters(void)
{
	struct iovec v[] = { { NULL, 0 }, { got, 3 }, { got + 3, 3 } };
	int end[2], n = 0, count;
	eventfd_t value;

	CHECK(pipe2(end, O_NONBLOCK | O_CLOEXEC) == 0);
	CHECK(fcntl(end[0], F_GETFD) == FD_CLOEXEC);
	CHECK_FAILS(read(end[0], got, 1), EAGAIN);
	CHECK_FAILS(write(end[0], got, 1), EBADF);
	CHECK_FAILS(lseek(end[0], 0, SEEK_SET), ESPIPE);
	CHECK(write(end[1], "abcdef", 6) == 6 && readv(end[0], v, 3) == 6);
	CHECK(memcmp(got, "abcdef", 6) == 0);
	while (write(end[1], buf, 4096) == 4096)
		n++;
	CHECK(errno == EAGAIN && n == 16);
	for (int i = 0; i < n; i++)
		CHECK(read(end[0], got, 4096) == 4096 && memcmp(buf, got, 4096) == 0);
	CHECK(close(end[1]) == 0 && read(end[0], got, 1) == 0 && close(end[0]) == 0);

	count = eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE);
	CHECK(eventfd_read(count, &value) == 0 && value == 1);
	CHECK(eventfd_write(count, 10) == 0 && eventfd_read(count, &value) == 0);
	CHECK_FAILS(write(count, buf, 4), EINVAL);
	CHECK(close(count) == 0);
	count = eventfd(0, EFD_NONBLOCK);
	CHECK_FAILS(eventfd_read(count, &value), EAGAIN);
	CHECK(eventfd_write(count, 5) == 0 && eventfd_write(count, 6) == 0);
	CHECK(eventfd_read(count, &value) == 0 && value == 11 && close(count) == 0);
}

static void descriptors(void)
{
	char link[64];
	int fd, again;

	fill("open", "through /proc");
	fd = open("open", O_RDONLY);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK(holds(link, "through /proc"));
	CHECK(readlink(link, got, sizeof(got)) == (ssize_t)strlen(dir) + 5);
	CHECK(memcmp(got + strlen(dir), "/open", 5) == 0);
	again = open("/dev/full", O_WRONLY);
	CHECK_FAILS(write(again, "x", 1), ENOSPC);
	CHECK(close(again) == 0 && close(fd) == 0 && unlink("open") == 0);
	CHECK(readlink("/proc/self/exe", got, sizeof(got)) > 1 && got[0] == '/');
	fd = open("/proc/self/maps", O_RDONLY);
	CHECK(read(fd, got, sizeof(got) - 1) > 100 && strstr(got, "[stack]"));
	CHECK(close(fd) == 0);
	fd = open("/proc/self/stat", O_RDONLY);
	CHECK(read(fd, got, sizeof(got)) > 50 && strtol(got, NULL, 10) == getpid());
	CHECK(close(fd) == 0);
}

/* Memory of files comes back: more is written in all than there is. */
static void room(void)
{
	for (int i = 0; i < 40; i++) {
		int fd = open("big", O_RDWR | O_CREAT | O_TRUNC, 0600);

		for (int n = 0; n < 4 << 20; n += (int)sizeof(buf))
			CHECK(write(fd, buf, sizeof(buf)) == sizeof(buf));
		CHECK(close(fd) == 0);
		if (i % 2)
			CHECK(unlink("big") == 0);
	}
}

int main(void)
{
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	contents();
	holes();
	names();
	attributes();
	working_directory();
	directories();
	copies();
	pipes_and_counters();
	descriptors();
	room();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	puts("ok");
	return 0;
}
