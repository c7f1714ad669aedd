/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - files and descriptors. Needs an archive that holds
 *
 *	etc/motd		"hello motd\n"
 *	etc/link -> motd	etc/loop -> loop	etc/up -> ../etc/motd
 *	hard1, hard2		one file, "hard\n"
 *	a/b/f			"x\n"			a/empty
 *	a/run			mode 755
 *
 * Prints "ok" and ends with status 0.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include "tests/guest/check.h"

#define MOTD	  "hello motd\n"
#define MOTD_SIZE 11

static char buf[8192];
static int holds(const char *path, const char *text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

	return n == (ssize_t)strlen(text) && memcmp(buf, text, strlen(text)) == 0 &&
	       close(fd) == 0;
}

static void names(void)
{
	CHECK(holds("/etc/motd", MOTD) && holds("etc/motd", MOTD));
	CHECK(holds("//etc/./../a/b/../../etc//motd", MOTD));
	CHECK(holds("/etc/link", MOTD) && holds("/etc/up", MOTD));
	CHECK(holds("/hard1", "hard\n") && holds("/hard2", "hard\n"));
	CHECK(holds("/../../a/b/f", "x\n") && holds("/a/empty", ""));
	CHECK_FAILS(open("/etc/none", O_RDONLY), ENOENT);
	CHECK_FAILS(open("", O_RDONLY), ENOENT);
	CHECK_FAILS(open("/etc/motd/x", O_RDONLY), ENOTDIR);
	CHECK_FAILS(open("/etc/motd/", O_RDONLY), ENOTDIR);
	CHECK_FAILS(open("/etc/loop", O_RDONLY), ELOOP);
	CHECK_FAILS(open("/etc/link", O_RDONLY | O_NOFOLLOW), ELOOP);
	CHECK_FAILS(open("/etc/motd", O_RDWR), EROFS);
	CHECK_FAILS(open("/etc/new", O_WRONLY | O_CREAT, 0600), EROFS);
	CHECK_FAILS(open("/etc/motd", O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK_FAILS(open("/etc", O_WRONLY), EISDIR);
	CHECK_FAILS(open(nowhere(), O_RDONLY), EFAULT);
	memset(buf, 'n', sizeof(buf) - 1);
	CHECK_FAILS(open(buf, O_RDONLY), ENAMETOOLONG);
	buf[300] = '\0';
	CHECK_FAILS(open(buf, O_RDONLY), ENAMETOOLONG);
}

static void reading(void)
{
	int fd = open("/etc/motd", O_RDONLY), copy;
	char end[64];
	struct iovec v[] = { { buf, 5 }, { end, sizeof(end) } };
	char *p;

	CHECK(fd == 5); /* 0 to 4 are taken from the start */
	CHECK(readv(fd, v, 2) == MOTD_SIZE && memcmp(end, " motd\n", 6) == 0);
	CHECK(read(fd, buf, 5) == 0);
	CHECK(pread(fd, buf, 3, 6) == 3 && memcmp(buf, "mot", 3) == 0);
	CHECK(pread(fd, buf, 3, 100) == 0);
	CHECK_FAILS(pread(fd, buf, 3, -1), EINVAL);
	CHECK(lseek(fd, -5, SEEK_END) == 6 && lseek(fd, 1, SEEK_CUR) == 7);
	CHECK_FAILS(lseek(fd, -8, SEEK_CUR), EINVAL);
	copy = dup(fd);
	CHECK(read(copy, buf, 2) == 2 && lseek(fd, 0, SEEK_CUR) == 9); /* one position */
	CHECK_FAILS(read(fd, nowhere(), 1), EFAULT);
	CHECK_FAILS(write(fd, "x", 1), EBADF);

	p = mmap(NULL, MOTD_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED && memcmp(p, MOTD, MOTD_SIZE) == 0 && p[MOTD_SIZE] == 0);
	p[0] = 'H';
	CHECK(pread(fd, buf, 1, 0) == 1 && buf[0] == 'h');
	CHECK_FAILS(mmap(NULL, 1, PROT_WRITE, MAP_SHARED, fd, 0), EACCES);
	CHECK_FAILS(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 1, 0), ENODEV);
	CHECK_FAILS(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, 60, 0), EBADF);
	CHECK(close(fd) == 0 && close(copy) == 0);
	CHECK_FAILS(close(fd), EBADF);
}

static void descriptions(void)
{
	struct stat st;
	int fd = open("/a", O_RDONLY | O_DIRECTORY);

	CHECK(stat("/etc/link", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == MOTD_SIZE);
	CHECK(lstat("/etc/link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 4);
	CHECK(stat("/", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(fstatat(fd, "b/f", &st, 0) == 0 && st.st_size == 2);
	CHECK(fstatat(fd, "", &st, AT_EMPTY_PATH) == 0 && S_ISDIR(st.st_mode));
	CHECK(fstat(1, &st) == 0 && !S_ISREG(st.st_mode));
	CHECK_FAILS(fstat(60, &st), EBADF);
	CHECK_FAILS(fstatat(1, "x", &st, 0), ENOTDIR);
	CHECK(readlink("/etc/link", buf, sizeof(buf)) == 4 && memcmp(buf, "motd", 4) == 0);
	CHECK(readlink("/etc/link", buf, 2) == 2);
	CHECK_FAILS(readlink("/etc/motd", buf, sizeof(buf)), EINVAL);
	CHECK(access("/etc/motd", R_OK) == 0 && access("/a/run", X_OK) == 0);
	CHECK_FAILS(access("/etc/motd", W_OK), EROFS);
	CHECK_FAILS(access("/etc/motd", X_OK), EACCES);
	CHECK_FAILS(access("/etc/none", F_OK), ENOENT);
	CHECK(getcwd(buf, sizeof(buf)) && strcmp(buf, "/") == 0);
	CHECK(close(fd) == 0);
}

/* The names in directory @path, in the order of the archive: "name name ". */
static const char *list(const char *path)
{
	static char names[256];
	DIR *dir = opendir(path);
	struct dirent *e;

	CHECK(dir);
	for (names[0] = '\0'; (e = readdir(dir));)
		strcat(strcat(names, e->d_name), " ");
	closedir(dir);
	return names;
}

static void directories(void)
{
	int fd = open("/etc", O_RDONLY);

	CHECK(strcmp(list("/a/b"), ". .. f ") == 0);
	CHECK(strstr(list("/"), "etc ") && strstr(list("/"), "hard2 "));
	CHECK(!strstr(list("/"), "motd") && strstr(list("/etc"), "motd "));
	CHECK_FAILS(read(fd, buf, 1), EISDIR);
	CHECK(close(fd) == 0);
}

static void devices_and_descriptors(void)
{
	int fd = open("/dev/null", O_RDWR);

	CHECK(read(fd, buf, 1) == 0 && write(fd, buf, 5) == 5 && close(fd) == 0);
	fd = open("/dev/urandom", O_RDONLY);
	memset(buf, 0, 32);
	CHECK(read(fd, buf, 32) == 32 && memcmp(buf, buf + 16, 16) != 0);
	CHECK(fcntl(fd, F_GETFD) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY);
	CHECK(dup2(fd, 20) == 20 && dup2(fd, fd) == fd && dup3(fd, 21, O_CLOEXEC) == 21);
	CHECK(fcntl(fd, F_DUPFD, 30) == 30);
	CHECK_FAILS(dup2(fd, 1000), EBADF);
	CHECK_FAILS(dup2(59, 20), EBADF);
	CHECK(!isatty(0) && errno == ENOTTY);
	CHECK_FAILS(write(1, nowhere(), 1), EFAULT);
	CHECK_FAILS(read(1, buf, 1), EBADF);
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	CHECK(errno == EMFILE);
}

int main(void)
{
	names();
	reading();
	descriptions();
	directories();
	devices_and_descriptors();
	puts("ok");
	return 0;
}
