/* SPDX-License-Identifier: Apache-2.0 */
/*
 * calls.c - system calls other than files: memory, time, randomness, identity, signals.
 * Arguments "one" "two three"; environment KEY=value. Prints "ok" and ends with status 42.
 */
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/check.h"

#define PAGE 4096ul
#define MIB  (1ul << 20)

static int all_zero(const char *p, size_t n)
{
	while (n && *p == 0)
		p++, n--;
	return n == 0;
}

static void start(int argc, char **argv)
{
	const void *random = (const void *)getauxval(AT_RANDOM);
	const char *key = getenv("KEY");
	int local;

	CHECK(argc == 3 && strcmp(argv[1], "one") == 0 && strcmp(argv[2], "two three") == 0);
	CHECK(argv[3] == NULL);
	CHECK(key && strcmp(key, "value") == 0);
	CHECK(getauxval(AT_PAGESZ) == PAGE && getauxval(AT_CLKTCK) == 100);
	CHECK(strcmp((const char *)getauxval(AT_EXECFN), argv[0]) == 0);
	CHECK(random && !all_zero(random, 16));
	CHECK(getauxval(AT_PHDR) != 0 && getauxval(AT_ENTRY) != 0);
	CHECK(((uintptr_t)&local & 3) == 0);
}

static char *map(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void anonymous_memory(void)
{
	char *p = map(3 * MIB), *q;

	CHECK(all_zero(p, 3 * MIB));
	memset(p, 1, 3 * MIB);
	CHECK(munmap(p + MIB, MIB) == 0);
	q = map(MIB);
	CHECK(all_zero(q, MIB));
	memset(q, 2, MIB);
	CHECK(p[0] == 1 && p[3 * MIB - 1] == 1);
	CHECK(madvise(q, MIB, MADV_DONTNEED) == 0 && all_zero(q, MIB));
	CHECK(munmap(q, MIB) == 0 && munmap(p, 3 * MIB) == 0);

	p = map(PAGE);
	CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK_FAILS(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
			 -1, 0),
		    EEXIST);
	CHECK_FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_FAILS(mmap(NULL, 1ul << 40, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    ENOMEM);
	CHECK_FAILS(mmap(NULL, ~0ul, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK_FAILS(mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    EACCES);
	CHECK_FAILS(munmap(p + 1, PAGE), EINVAL);
	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	CHECK_FAILS(mprotect((void *)PAGE, PAGE, PROT_READ), ENOMEM);
	CHECK_FAILS(madvise((void *)PAGE, PAGE, MADV_DONTNEED), ENOMEM);
}

static void moved_memory(void)
{
	char *p = map(2 * PAGE), *q = map(2 * PAGE);

	memset(p, 3, 2 * PAGE);
	memset(q, 4, 2 * PAGE);
	CHECK_FAILS(mremap(q, 2 * PAGE, 64 * PAGE, 0), ENOMEM); /* p is right above it */
	q = mremap(q, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q[0] == 4 && q[2 * PAGE - 1] == 4);
	CHECK(all_zero(q + 2 * PAGE, 62 * PAGE));
	CHECK(mremap(q, 64 * PAGE, PAGE, 0) == q && q[PAGE - 1] == 4);
	CHECK(mremap(q, PAGE, 2 * PAGE, 0) == q && all_zero(q + PAGE, PAGE));
	CHECK(p[0] == 3 && p[2 * PAGE - 1] == 3);
}

static void heap(void)
{
	char *big = malloc(8 * MIB);
#ifdef __GLIBC__ /* musl's sbrk only fails */
	char *old = sbrk(0);

	CHECK(sbrk(MIB) == old && all_zero(old, MIB));
	memset(old, 5, MIB);
	CHECK(sbrk(-(intptr_t)MIB) == old + MIB);
	CHECK(sbrk(MIB) == old);
	CHECK(all_zero((char *)(((uintptr_t)old + PAGE - 1) & -PAGE), MIB - PAGE));
	CHECK_FAILS(sbrk(1L << 40), ENOMEM);
#endif
	CHECK(big);
	memset(big, 6, 8 * MIB);
	free(big);
}

static long long ns(clockid_t id)
{
	struct timespec ts;

	CHECK(clock_gettime(id, &ts) == 0 && ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static void clocks(void)
{
	long long last = ns(CLOCK_MONOTONIC), real = ns(CLOCK_REALTIME), now;
	struct timespec res;
	struct timeval tv;

	for (int i = 0; i < 1000; i++, last = now) {
		now = ns(CLOCK_MONOTONIC);
		CHECK(now >= last);
	}
	CHECK(real > 1700000000LL * 1000000000); /* 2023 */
	CHECK(gettimeofday(&tv, NULL) == 0 && tv.tv_sec >= real / 1000000000);
	CHECK(time(NULL) >= tv.tv_sec);
	CHECK(clock_getres(CLOCK_MONOTONIC, &res) == 0 && res.tv_nsec == 1);
	CHECK_FAILS(clock_gettime(99, &res), EINVAL);
	CHECK_FAILS(syscall(SYS_clock_gettime, CLOCK_REALTIME, 64), EFAULT);
}

static void randomness(void)
{
	char a[1000] = { 0 }, b[1000] = { 0 };

	CHECK(getrandom(a, sizeof(a), 0) == sizeof(a));
	CHECK(getrandom(b, sizeof(b), GRND_NONBLOCK) == sizeof(b));
	CHECK(memcmp(a, b, sizeof(a)) != 0 && !all_zero(a + 984, 16));
	CHECK_FAILS(getrandom(a, 1, 0xff), EINVAL);
	CHECK_FAILS(syscall(SYS_getrandom, 64, 8, 0), EFAULT);
}

static void identity(void)
{
	struct utsname u;
	struct sysinfo s;
	struct rlimit l;

	CHECK(getpid() == 1 && getppid() == 0 && getuid() == 0 && getegid() == 0);
	CHECK(syscall(SYS_gettid) == 1);
	CHECK(uname(&u) == 0 && strcmp(u.machine, "x86_64") == 0);
	CHECK(sysinfo(&s) == 0 && s.totalram * s.mem_unit > 8 * MIB && s.freeram <= s.totalram);
	CHECK(getrlimit(RLIMIT_STACK, &l) == 0 && l.rlim_cur >= 2 * MIB);
	CHECK_FAILS(setrlimit(RLIMIT_STACK, &l), EPERM);
	CHECK_FAILS(syscall(SYS_getrlimit, 99, &l), EINVAL);
}

static void signals(void)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, old;
	sigset_t set, was;

	CHECK(sigaction(SIGUSR1, &ignore, NULL) == 0);
	CHECK(sigaction(SIGUSR1, NULL, &old) == 0 && old.sa_handler == SIG_IGN);
	CHECK(raise(SIGUSR1) == 0 && raise(SIGCHLD) == 0 && kill(1, 0) == 0);
	CHECK_FAILS(kill(2, SIGTERM), ESRCH);
	CHECK_FAILS(kill(1, 99), EINVAL);
	CHECK_FAILS(sigaction(SIGKILL, &ignore, NULL), EINVAL);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, &was) == 0 && !sigismember(&was, SIGUSR2));
	CHECK(raise(SIGUSR2) == 0); /* waits, as it is blocked */
	CHECK(sigaction(SIGUSR2, &ignore, NULL) == 0);
	CHECK(sigprocmask(SIG_SETMASK, &was, &set) == 0 && sigismember(&set, SIGUSR2));
}

static void missing(void)
{
	CHECK_FAILS(fork(), ENOSYS);
	CHECK_FAILS(syscall(SYS_socket, 1, 1, 0), ENOSYS);
	CHECK_FAILS(syscall(SYS_socket, 1, 1, 0), ENOSYS);
	CHECK_FAILS(syscall(5000), ENOSYS);
	CHECK_FAILS(syscall(-1), ENOSYS);
	CHECK_FAILS(syscall(SYS_getpid | 0x40000000), ENOSYS); /* x32's numbers */
}

int main(int argc, char **argv)
{
	start(argc, argv);
	anonymous_memory();
	moved_memory();
	heap();
	clocks();
	randomness();
	identity();
	signals();
	missing();
	puts("ok");
	return 42;
}
