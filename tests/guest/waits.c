/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waits.c [KIND] - sleeping and waiting. Without KIND: prints "ok", status 0; the same on Linux.
 * With KIND (futex, poll, select, read, write, pause, suspend) wait for what cannot come: on
 * kindling the end by SIGABRT.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/check.h"

#define MS 1000000LL

/* <linux/futex.h>, which is not in every C library's way */
enum {
	FUTEX_WAIT = 0,
	FUTEX_WAKE_PRIVATE = 129,
	FUTEX_WAIT_PRIVATE = 128,
	FUTEX_WAIT_BITSET = 9
};

static uint32_t word = 7;

static long long now(void)
{
	struct timespec ts;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return ts.tv_sec * 1000 * MS + ts.tv_nsec;
}

/* Did it take at least @wanted ns since @from, and not very much longer? */
static int took(long long from, long long wanted)
{
	long long t = now() - from;

	return t >= wanted && t < wanted + 500 * MS;
}

static void sleeping(void)
{
	struct timespec ts = { .tv_nsec = 20 * MS }, bad = { .tv_nsec = 1000 * MS };
	long long from = now();

	CHECK(nanosleep(&ts, NULL) == 0 && took(from, 20 * MS));
	ts.tv_nsec = 3000; /* too short to ask the host */
	from = now();
	CHECK(nanosleep(&ts, &ts) == 0 && took(from, 3000));
	CHECK_FAILS(nanosleep(&bad, NULL), EINVAL);
	CHECK_FAILS(syscall(SYS_nanosleep, nowhere(), NULL), EFAULT);
	from = now();
	ts.tv_sec = (from + 15 * MS) / (1000 * MS);
	ts.tv_nsec = (from + 15 * MS) % (1000 * MS);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0);
	CHECK(took(from, 15 * MS));
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == 0); /* over */
	CHECK(clock_gettime(CLOCK_REALTIME, &ts) == 0);
	from = now();
	ts.tv_sec += ts.tv_nsec >= 990 * MS;
	ts.tv_nsec = (ts.tv_nsec + 10 * MS) % (1000 * MS);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &ts, NULL) == 0);
	CHECK(took(from, 9 * MS));
	CHECK(clock_nanosleep(99, 0, &ts, NULL) == EINVAL);
}

static long futex(int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, &word, op, value, timeout, NULL, ~0u);
}

static void futexes(void)
{
	struct timespec ts = { .tv_nsec = 10 * MS };
	long long from = now();

	CHECK_FAILS(futex(FUTEX_WAIT_PRIVATE, 6, NULL), EAGAIN);
	CHECK_FAILS(futex(FUTEX_WAIT, 7, &ts), ETIMEDOUT);
	CHECK(took(from, 10 * MS));
	CHECK(futex(FUTEX_WAKE_PRIVATE, 1, NULL) == 0);
	CHECK_FAILS(syscall(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 7, NULL), EINVAL);
	CHECK_FAILS(syscall(SYS_futex, nowhere(), FUTEX_WAIT, 7, NULL), EFAULT);
	from = now();
	ts.tv_sec = (from + 10 * MS) / (1000 * MS);
	ts.tv_nsec = (from + 10 * MS) % (1000 * MS);
	CHECK_FAILS(futex(FUTEX_WAIT_BITSET, 7, &ts), ETIMEDOUT);
	CHECK(took(from, 10 * MS));
}

static void polling(void)
{
	int end[2], count = eventfd(0, EFD_NONBLOCK);
	struct pollfd p[3] = { 0 };
	long long from;

	CHECK(pipe(end) == 0 && count >= 0);
	p[0] = (struct pollfd){ .fd = end[0], .events = POLLIN };
	p[1] = (struct pollfd){ .fd = end[1], .events = POLLOUT };
	p[2] = (struct pollfd){ .fd = count, .events = POLLIN };
	CHECK(poll(p, 3, 1000) == 1 && !p[0].revents && p[1].revents == POLLOUT);
	CHECK(write(end[1], "x", 1) == 1);
	CHECK(poll(p, 3, -1) == 2 && p[0].revents == POLLIN);
	CHECK(read(end[0], &word, 1) == 1);
	p[1].fd = -1;
	from = now();
	CHECK(poll(p, 3, 20) == 0 && took(from, 20 * MS));
	CHECK(poll(p, 3, 0) == 0);
	p[1].fd = 60;
	CHECK(poll(p, 3, 0) == 1 && p[1].revents == POLLNVAL);
	CHECK(eventfd_write(count, 1) == 0 && close(end[1]) == 0);
	CHECK(poll(p, 3, 0) == 3 && p[0].revents == POLLHUP && p[2].revents == POLLIN);
	CHECK(close(end[0]) == 0 && close(count) == 0);
}

static void selecting(void)
{
	struct timeval tv = { .tv_usec = 20000 };
	long long from = now();
	fd_set in, outs;
	int end[2];

	CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && took(from, 20 * MS));
	CHECK(pipe(end) == 0);
	FD_ZERO(&in);
	FD_ZERO(&outs);
	FD_SET(end[0], &in);
	FD_SET(end[1], &outs);
	CHECK(select(end[1] + 1, &in, &outs, NULL, NULL) == 1);
	CHECK(!FD_ISSET(end[0], &in) && FD_ISSET(end[1], &outs));
	CHECK(write(end[1], "x", 1) == 1);
	FD_SET(end[0], &in);
	CHECK(select(end[1] + 1, &in, NULL, NULL, NULL) == 1 && FD_ISSET(end[0], &in));
	FD_SET(60, &in);
	CHECK_FAILS(select(61, &in, NULL, NULL, NULL), EBADF);
	CHECK(close(end[0]) == 0 && close(end[1]) == 0);
}

static void wait_for_ever(const char *kind)
{
	static char page[4096];
	sigset_t none;
	int end[2];

	CHECK(pipe(end) == 0);
	sigemptyset(&none);
	if (strcmp(kind, "futex") == 0)
		futex(FUTEX_WAIT, 7, NULL);
	if (strcmp(kind, "poll") == 0)
		poll(NULL, 0, -1);
	if (strcmp(kind, "select") == 0)
		select(0, NULL, NULL, NULL, NULL);
	if (strcmp(kind, "read") == 0)
		CHECK(read(end[0], page, 1) == 1);
	while (strcmp(kind, "write") == 0)
		CHECK(write(end[1], page, sizeof(page)) == sizeof(page));
	if (strcmp(kind, "pause") == 0)
		pause();
	if (strcmp(kind, "suspend") == 0)
		sigsuspend(&none);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		wait_for_ever(argv[1]);
		return 1;
	}
	sleeping();
	futexes();
	polling();
	selecting();
	puts("ok");
	return 0;
}
