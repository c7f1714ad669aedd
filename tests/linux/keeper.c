/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keeper.c - a Linux function that keeps watch over what a freeze and a thaw may break: clocks, timers,
 * random numbers, and the disk on /data. Two more processes are at work whenever the machine runs, and in
 * the middle of something when it is frozen: one writes to the disk past the page cache and reads back what it
 * wrote, the other sleeps and looks at the clocks. A static program, of musl: tests/linux/linux.mk.
 *
 * Each reply is one JSON object. Events:
 *
 *	(none)	clocks, as they were when the event arrived
 *	work	all of it but timers that are not due yet, which stay armed
 *	check	all of it: timers that were armed before the last freeze, random numbers, files
 *	fsck	the same, then the disk is unmounted and mounted again, and the files are read once more;
 *		nothing is written to the disk afterwards
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define DEVICE "/dev/vda"
#define SECOND 1000000000ll

typedef int64_t nsec_t;

/* What the processes tell each other: each field has one that writes it. */
struct shared {
	volatile uint64_t naps, writes, reads;
	volatile uint64_t backwards; /* times that a clock was behind what it had been */
	volatile int stop;	     /* the writer is to end */
	char broken[200];	     /* "": nothing is */
};

static struct shared *shared;

/* The first complaint is kept. */
static __attribute__((format(printf, 1, 2))) void complain(const char *format, ...)
{
	va_list args;

	if (shared->broken[0])
		return;
	va_start(args, format);
	vsnprintf(shared->broken, sizeof(shared->broken), format, args);
	va_end(args);
}

/* ---- clocks ---- */

struct clocks {
	nsec_t mono, boot, real;
};

static nsec_t clock_read(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static struct clocks clocks_read(void)
{
	return (struct clocks){ clock_read(CLOCK_MONOTONIC), clock_read(CLOCK_BOOTTIME),
				clock_read(CLOCK_REALTIME) };
}

/* They go forward only, whatever came in between; the time of day follows the host's. */
static void clocks_follow(struct clocks *last)
{
	const struct clocks now = clocks_read();

	if (now.mono < last->mono || now.boot < last->boot) {
		complain("a clock went back: %" PRId64 " to %" PRId64 ", %" PRId64
			 " to %" PRId64,
			 last->mono, now.mono, last->boot, now.boot);
		shared->backwards++;
	}
	*last = now;
}

static void napper(void)
{
	const struct timespec nap = { .tv_nsec = 50000000 };
	struct clocks last = clocks_read();

	for (;;) {
		nsec_t from = clock_read(CLOCK_MONOTONIC);

		nanosleep(&nap, NULL);
		clocks_follow(&last);
		if (last.mono - from < nap.tv_nsec)
			complain("a nap of 50 ms took %" PRId64 " ns", last.mono - from);
		shared->naps++;
	}
}

/* ---- blocks: each says which one it is, and of which round ---- */

#define BLOCK 4096u

struct block {
	uint64_t number, round, words[BLOCK / 8 - 3], sum;
};

_Static_assert(sizeof(struct block) == BLOCK, "a page");

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
	return x ^ x >> 29;
}

static void block_fill(struct block *b, uint64_t number, uint64_t round)
{
	uint64_t x = mix(number * 0x10001 + round + 1);

	b->number = number;
	b->round = round;
	b->sum = x;
	for (size_t i = 0; i < sizeof(b->words) / sizeof(b->words[0]); i++)
		b->sum += b->words[i] = x = x * 6364136223846793005u + 1442695040888963407u;
}

static void block_check(const struct block *b, uint64_t number, uint64_t round,
			const char *where)
{
	static struct block right;

	block_fill(&right, number, round);
	if (memcmp(b, &right, sizeof(right)) != 0)
		complain("%s: block %" PRIu64 " is not of round %" PRIu64
			 ": says block %" PRIu64 " of round %" PRIu64 ", sum %s",
			 where, number, round, b->number, b->round,
			 b->sum == right.sum ? "right" : "wrong");
}

/* ---- the writer ---- */

#define WRITER_FILE   "/data/writer"
#define WRITER_BLOCKS 512u /* of the file */
#define WRITER_RUN    16u  /* of one write */

static struct block *buffer; /* WRITER_RUN of them, aligned for O_DIRECT */

static void transfer(int fd, int write, uint64_t first)
{
	off_t at = (off_t)(first * BLOCK);
	size_t size = WRITER_RUN * BLOCK;
	ssize_t n = write ? pwrite(fd, buffer, size, at) : pread(fd, buffer, size, at);

	if (n != (ssize_t)size)
		complain("%s of %zu bytes at %lld: %zd, %s", write ? "write" : "read", size,
			 (long long)at, n, strerror(errno));
}

static void write_run(int fd, uint64_t first, uint64_t round)
{
	for (uint64_t i = 0; i < WRITER_RUN; i++)
		block_fill(&buffer[i], first + i, round);
	transfer(fd, 1, first);
	shared->writes++;
}

static void read_run(int fd, uint64_t first, uint64_t round)
{
	transfer(fd, 0, first);
	for (uint64_t i = 0; i < WRITER_RUN; i++)
		block_check(&buffer[i], first + i, round, "past the cache");
	shared->reads++;
}

/* Every run is written in turn, and another one read. */
static void writer(void)
{
	static uint64_t rounds[WRITER_BLOCKS / WRITER_RUN];
	const uint64_t nruns = WRITER_BLOCKS / WRITER_RUN;
	int fd = open(WRITER_FILE, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	struct clocks last = clocks_read();

	if (fd < 0)
		complain(WRITER_FILE ": %s", strerror(errno));
	for (uint64_t n = 0; fd >= 0 && !shared->stop; n++) {
		uint64_t run = n % nruns, other = mix(n) % nruns;

		write_run(fd, run * WRITER_RUN, ++rounds[run]);
		if (rounds[other] > 0)
			read_run(fd, other * WRITER_RUN, rounds[other]);
		if (run == 0)
			fsync(fd);
		clocks_follow(&last);
	}
	_exit(0);
}

/* ---- files: one more with each check, in the page cache ---- */

#define FILE_BLOCKS   16u
#define FILES	      64u /* then the first one is written anew */
#define FILES_CHECKED 6u  /* with each event */

static uint64_t file_rounds[FILES], nfiles;

static void file_name(char name[32], uint64_t file)
{
	snprintf(name, 32, "/data/file-%02" PRIu64, file);
}

static void file_write(uint64_t file, uint64_t round)
{
	static struct block blocks[FILE_BLOCKS];
	char name[32];
	int fd;

	file_name(name, file);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	for (uint64_t i = 0; i < FILE_BLOCKS; i++)
		block_fill(&blocks[i], file * FILE_BLOCKS + i, round);
	if (fd < 0 || write(fd, blocks, sizeof(blocks)) != sizeof(blocks) || fsync(fd) < 0)
		complain("%s: %s", name, strerror(errno));
	close(fd);
	file_rounds[file] = round;
}

/* From the disk, not from the page cache. */
static void file_check(uint64_t file)
{
	static struct block blocks[FILE_BLOCKS];
	char name[32];
	int fd;

	file_name(name, file);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (fd < 0 || read(fd, blocks, sizeof(blocks)) != sizeof(blocks))
		complain("%s: %s", name, strerror(errno));
	close(fd);
	for (uint64_t i = 0; i < FILE_BLOCKS; i++)
		block_check(&blocks[i], file * FILE_BLOCKS + i, file_rounds[file], name);
}

/* @n of them, each in its turn. */
static void files_check(uint64_t n)
{
	static uint64_t turn;
	const uint64_t there = nfiles < FILES ? nfiles : FILES;

	for (uint64_t i = 0; i < n && i < there; i++)
		file_check(turn++ % there);
}

static void files_go_on(void)
{
	files_check(FILES_CHECKED);
	file_write(nfiles % FILES, nfiles + 1);
	nfiles++;
}

/* ---- timers ---- */

/* Armed before an event is waited for, of both clocks: these are due while the machine waits or is
 * frozen, and soon afterwards. */
static struct timer {
	const char *name;
	clockid_t clock;
	nsec_t after, due;
	int fd;
} timers[] = {
	{ "monotonic, 10 ms", CLOCK_MONOTONIC, 10000000, 0, -1 },
	{ "monotonic, 1 s", CLOCK_MONOTONIC, SECOND, 0, -1 },
	{ "time of day, 300 ms", CLOCK_REALTIME, 300000000, 0, -1 },
	{ "time of day, 1.5 s", CLOCK_REALTIME, SECOND + SECOND / 2, 0, -1 },
};

#define TIMERS (sizeof(timers) / sizeof(timers[0]))

static void timer_arm(struct timer *t)
{
	struct itimerspec when = { 0 };

	if (t->fd < 0)
		t->fd = timerfd_create(t->clock, TFD_CLOEXEC);
	t->due = clock_read(t->clock) + t->after;
	when.it_value = (struct timespec){ .tv_sec = (time_t)(t->due / SECOND),
					   .tv_nsec = (long)(t->due % SECOND) };
	if (timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL) < 0)
		complain("timerfd_settime: %s", strerror(errno));
}

/* Not before it is due, and not long after it, or after now where it was due before. Returns how
 * late it was. */
static nsec_t timer_await(const struct timer *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	nsec_t from = clock_read(t->clock), now;
	uint64_t times = 0;

	if (poll(&p, 1, 60000) != 1 || read(t->fd, &times, sizeof(times)) != sizeof(times))
		complain("timer (%s): lost", t->name);
	now = clock_read(t->clock);
	if (now < t->due)
		complain("timer (%s): %" PRId64 " ns early", t->name, t->due - now);
	return now - (t->due > from ? t->due : from);
}

/* Those that are due, or all. Returns how late the latest one was. */
static nsec_t timers_await(int all)
{
	nsec_t latest = 0;

	for (size_t i = 0; i < TIMERS; i++) {
		struct timer *t = &timers[i];
		nsec_t late;

		if (!all && clock_read(t->clock) < t->due)
			continue;
		late = timer_await(t);
		latest = late > latest ? late : latest;
		t->due = 0;
	}
	return latest;
}

static void timers_arm(void)
{
	for (size_t i = 0; i < TIMERS; i++) {
		if (!timers[i].due)
			timer_arm(&timers[i]);
	}
}

/* ---- what the kernel says ---- */

static int kmsg = -1;
static unsigned reseeds, fs_errors;

static void kmsg_read(void)
{
	static char line[8192];
	ssize_t n;

	if (kmsg < 0)
		kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	while ((n = read(kmsg, line, sizeof(line) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		line[n > 0 ? n : 0] = '\0';
		reseeds += strstr(line, "crng reseeded due to") != NULL;
		if (strstr(line, "EXT4-fs error") || strstr(line, "I/O error") ||
		    strstr(line, "blocked for more") || strstr(line, "soft lockup")) {
			complain("kernel: %.150s", line);
			fs_errors++;
		}
	}
}

/* ---- events ---- */

static pid_t writer_pid;

/* Both others go on: the one sleeps, the other writes. */
static void others_await(void)
{
	const struct timespec nap = { .tv_nsec = 20000000 };
	uint64_t naps = shared->naps, writes = shared->writes;

	for (int i = 0; i < 3000; i++) {
		if (shared->naps > naps + 1 && (shared->stop || shared->writes > writes))
			return;
		nanosleep(&nap, NULL);
	}
	complain("stalled: %" PRIu64 " naps, %" PRIu64 " writes, %" PRIu64 " and %" PRIu64
		 " before",
		 shared->naps, shared->writes, naps, writes);
}

static void remount(void)
{
	shared->stop = 1;
	waitpid(writer_pid, NULL, 0);
	if (umount("/data") < 0)
		complain("umount: %s", strerror(errno));
	if (mount(DEVICE, "/data", "ext4", 0, NULL) < 0)
		complain("mount: %s", strerror(errno));
	files_check(FILES);
	if (umount("/data") < 0)
		complain("umount: %s", strerror(errno));
}

static int reply_clocks(char *text, size_t size, struct clocks at, struct clocks before)
{
	return snprintf(text, size,
			"{\"mono\":%" PRId64 ",\"boot\":%" PRId64 ",\"real\":%" PRId64
			",\"passed\":%" PRId64,
			at.mono, at.boot, at.real, at.mono - before.mono);
}

static int reply_check(char *text, size_t size, const char *event)
{
	nsec_t late = timers_await(strcmp(event, "work") != 0);
	uint64_t random[2];
	nsec_t from = clock_read(CLOCK_MONOTONIC);

	others_await();
	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		complain("getrandom: %s", strerror(errno));
	files_go_on();
	if (strcmp(event, "fsck") == 0)
		remount();
	kmsg_read();
	return snprintf(text, size,
			",\"late\":%" PRId64 ",\"took\":%" PRId64 ",\"random\":\"%016" PRIx64
			"%016" PRIx64 "\",\"reseeds\":%u,\"files\":%" PRIu64
			",\"writes\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"naps\":%" PRIu64
			",\"backwards\":%" PRIu64 ",\"errors\":%u",
			late, clock_read(CLOCK_MONOTONIC) - from, random[0], random[1], reseeds,
			nfiles, shared->writes, shared->reads, shared->naps, shared->backwards,
			fs_errors);
}

/* The complaint is the kernel's words in part: nothing that JSON would not take. */
static int reply_broken(char *text, size_t size)
{
	for (char *c = shared->broken; *c; c++) {
		if (*c < ' ' || *c == '"' || *c == '\\')
			*c = ' ';
	}
	return snprintf(text, size, ",\"broken\":\"%s\"}\n", shared->broken);
}

static void answer(const char *event, struct clocks at, struct clocks before)
{
	char text[1024];
	int n = reply_clocks(text, sizeof(text), at, before);

	if (*event)
		n += reply_check(text + n, sizeof(text) - (size_t)n, event);
	n += reply_broken(text + n, sizeof(text) - (size_t)n);
	if (write(4, text, (size_t)n) != n)
		exit(3);
}

static pid_t start(void (*work)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		close(3);
		close(4);
		work();
	}
	return pid;
}

int main(void)
{
	char event[64];
	ssize_t n;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	buffer = aligned_alloc(BLOCK, WRITER_RUN * BLOCK);
	if (shared == MAP_FAILED || !buffer)
		return 2;
	kmsg_read();
	reseeds = 0;
	start(napper);
	writer_pid = start(writer);
	file_write(0, 1);
	nfiles = 1;
	others_await();
	for (;;) {
		struct clocks before, now;

		timers_arm();
		now = before = clocks_read();
		n = read(3, event, sizeof(event) - 1);
		if (n < 0)
			return 1;
		event[n] = '\0';
		clocks_follow(&now);
		answer(event, now, before);
	}
}
