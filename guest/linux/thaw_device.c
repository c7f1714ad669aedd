/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thaw_device.c - the event device for kernels that are not ours: what guest/linux/driver is in a
 * kernel, as a process. It reaches the mailbox through /dev/mem and makes its devices with CUSE
 * (module `cuse`), so a distribution's kernel needs nothing of ours:
 *
 *	/dev/thaw-event /dev/thaw-reply /dev/thaw-log1 /dev/thaw-log2 /dev/thaw-exit
 *
 * Started by root, and early, it goes into the background when they are there. Beside the driver's
 * it lacks: lseek on the event stream, the hooks, and the crash report of a program that dies. And
 * other processes may run between a thaw and what this one does about copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/random.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "guest/abi.h"

#define REQUEST_MAX                                                                            \
	0x20000u /* ours: of one transfer; the kernel makes several of a longer one */
#define NDEVICES 5

static volatile struct abi_mailbox *box;
static volatile uint32_t *doorbells;
static uint64_t generation;
static size_t event_size, event_done; /* bytes of the event, and of it read */
static size_t reply_size;	      /* bytes of the reply so far */
static int event_seen;		      /* has there been an event? */

static _Noreturn void fail(const char *what)
{
	fprintf(stderr, "thaw-device: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void *area(uint32_t offset)
{
	return (char *)(uintptr_t)box + offset;
}

static void ring(uint32_t doorbell)
{
	__asm__ volatile("" ::: "memory"); /* what it is about has been written */
	doorbells[doorbell / sizeof(*doorbells)] = 0;
	__asm__ volatile("" ::: "memory");
}

/* ---- copies ---- */

static void clock_renew(void)
{
	struct abi_clock c = box->clock;
	uint64_t tsc = __rdtsc(), elapsed = 0;
	struct timespec now;

	if (tsc > c.tsc_base)
		elapsed = (uint64_t)((unsigned __int128)(tsc - c.tsc_base) * c.mult >> c.shift);
	elapsed += c.real_ns;
	now.tv_sec = (time_t)(elapsed / 1000000000);
	now.tv_nsec = (long)(elapsed % 1000000000);
	if (clock_settime(CLOCK_REALTIME, &now) < 0)
		perror("thaw-device: the time of day");
}

/* Takes the bytes, so that nobody reads them there afterwards, and has the generator use them now. */
static void entropy_renew(void)
{
	struct {
		int entropy_count, buf_size; /* struct rand_pool_info, which has no size */
		uint8_t bytes[ABI_ENTROPY_SIZE];
	} pool = { .entropy_count = 8 * ABI_ENTROPY_SIZE, .buf_size = ABI_ENTROPY_SIZE };
	int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);

	for (size_t i = 0; i < ABI_ENTROPY_SIZE; i++) {
		pool.bytes[i] = box->entropy[i];
		box->entropy[i] = 0;
	}
	if (fd < 0 || ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		perror("thaw-device: random numbers");
	explicit_bzero(&pool, sizeof(pool));
	close(fd);
}

static void copy_renew(void)
{
	if (box->generation == generation)
		return;
	generation = box->generation;
	entropy_renew();
	clock_renew();
}

/* ---- the devices ---- */

static void event_next(void)
{
	box->reply_size = reply_size;
	ring(ABI_DOORBELL_NEXT);
	box->first_tsc = __rdtsc();
	copy_renew();
	event_size = box->event_size < ABI_EVENT_MAX ? box->event_size : ABI_EVENT_MAX;
	event_done = reply_size = 0;
	event_seen = 1;
}

/*
 * One read(2) of a program may be several requests: @offset is where in it, so that only its first
 * one can find that an event is used up.
 */
static ssize_t event_read(uint64_t offset, void *to, size_t size)
{
	if (offset == 0 && event_done == event_size)
		event_next();
	if (size > event_size - event_done)
		size = event_size - event_done;
	memcpy(to, (char *)area(ABI_WINDOW_EVENT) + event_done, size);
	event_done += size;
	return (ssize_t)size;
}

static ssize_t reply_write(const void *data, size_t size)
{
	if (!event_seen)
		return -EPIPE;
	if (size > ABI_REPLY_MAX - reply_size)
		return -EMSGSIZE;
	memcpy((char *)area(ABI_WINDOW_REPLY) + reply_size, data, size);
	reply_size += size;
	return (ssize_t)size;
}

static ssize_t log_write(uint32_t stream, const void *data, size_t size)
{
	if (size > ABI_WINDOW_LOG_SIZE)
		size = ABI_WINDOW_LOG_SIZE;
	memcpy(area(ABI_WINDOW_LOG), data, size);
	box->log_stream = stream;
	box->log_size = size;
	ring(ABI_DOORBELL_LOG);
	return (ssize_t)size;
}

static ssize_t out_write(const void *data, size_t size)
{
	return log_write(ABI_LOG_STDOUT, data, size);
}

static ssize_t err_write(const void *data, size_t size)
{
	return log_write(ABI_LOG_STDERR, data, size);
}

/* The program's exit status in digits; does not return. */
static ssize_t exit_write(const void *data, size_t size)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%.*s", (int)size, (const char *)data);
	box->exit_status = (uint32_t)strtoul(digits, NULL, 10);
	ring(ABI_DOORBELL_EXIT);
	return -EIO;
}

static const struct device {
	const char *name;
	ssize_t (*read)(uint64_t offset, void *to, size_t size);
	ssize_t (*write)(const void *data, size_t size);
} devices[NDEVICES] = {
	{ "thaw-event", event_read, NULL }, { "thaw-reply", NULL, reply_write },
	{ "thaw-log1", NULL, out_write },   { "thaw-log2", NULL, err_write },
	{ "thaw-exit", NULL, exit_write },
};

/* ---- CUSE ---- */

struct request {
	struct fuse_in_header head;
	union {
		struct cuse_init_in init;
		struct fuse_read_in read;
		struct {
			struct fuse_write_in head;
			uint8_t data[REQUEST_MAX];
		} write;
	};
};

static void answer(int fd, const struct request *r, int error, const struct iovec *more, int n)
{
	struct fuse_out_header head = { sizeof(head), error, r->head.unique };
	struct iovec parts[3] = { { &head, sizeof(head) } };

	for (int i = 0; i < n; i++) {
		parts[i + 1] = more[i];
		head.len += (uint32_t)more[i].iov_len;
	}
	/* ENOENT: who asked is gone */
	if (writev(fd, parts, n + 1) < 0 && errno != ENOENT)
		fail("/dev/cuse");
}

static void answer_part(int fd, const struct request *r, void *data, size_t size)
{
	const struct iovec part = { data, size };

	answer(fd, r, 0, &part, 1);
}

static void begin(int fd, const struct request *r, const struct device *d)
{
	struct cuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION,
				     .max_read = REQUEST_MAX,
				     .max_write = REQUEST_MAX };
	char name[32];
	const struct iovec parts[] = {
		{ &out, sizeof(out) },
		{ name, (size_t)snprintf(name, sizeof(name), "DEVNAME=%s", d->name) + 1 },
	};

	answer(fd, r, 0, parts, 2);
}

/* By a copy: CUSE cannot take bytes from where there is no RAM. */
static void serve_read(int fd, const struct request *r, const struct device *d)
{
	static uint8_t data[REQUEST_MAX];
	size_t size = r->read.size < sizeof(data) ? r->read.size : sizeof(data);
	ssize_t n = d->read ? d->read(r->read.offset, data, size) : -EINVAL;

	if (n < 0)
		answer(fd, r, (int)n, NULL, 0);
	else
		answer_part(fd, r, data, (size_t)n);
}

static void serve_write(int fd, const struct request *r, const struct device *d)
{
	ssize_t n = d->write ? d->write(r->write.data, r->write.head.size) : -EINVAL;
	struct fuse_write_out out = { .size = (uint32_t)n };

	if (n < 0)
		answer(fd, r, (int)n, NULL, 0);
	else
		answer_part(fd, r, &out, sizeof(out));
}

static void serve(int fd, const struct device *d)
{
	static struct request r; /* too large for the stack */
	struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE };
	struct fuse_poll_out ready = { .revents = POLLIN | POLLOUT };

	if (read(fd, &r, sizeof(r)) < 0) {
		if (errno == ENOENT || errno == EINTR || errno == EAGAIN)
			return; /* who asked is gone */
		fail("/dev/cuse");
	}
	switch (r.head.opcode) {
	case CUSE_INIT:
		return begin(fd, &r, d);
	case FUSE_OPEN:
		return answer_part(fd, &r, &opened, sizeof(opened));
	case FUSE_READ:
		return serve_read(fd, &r, d);
	case FUSE_WRITE:
		return serve_write(fd, &r, d);
	case FUSE_POLL:
		return answer_part(fd, &r, &ready, sizeof(ready));
	case FUSE_RELEASE:
		return answer(fd, &r, 0, NULL, 0);
	case FUSE_IOCTL:
		return answer(fd, &r, -ENOTTY, NULL, 0);
	case FUSE_INTERRUPT:
		return; /* of a request that has been answered */
	default:
		answer(fd, &r, -ENOSYS, NULL, 0);
	}
}

/* ---- start ---- */

static void *map(int mem, uint64_t gpa, size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mem, (off_t)gpa);

	if (at == MAP_FAILED)
		fail("/dev/mem does not map the mailbox");
	return at;
}

static void find_mailbox(void)
{
	int mem = open("/dev/mem", O_RDWR | O_CLOEXEC);

	if (mem < 0)
		fail("/dev/mem");
	box = map(mem, ABI_MAILBOX_WINDOW_GPA, ABI_WINDOW_SIZE);
	doorbells = map(mem, ABI_MAILBOX_REGS_GPA, 4096);
	close(mem);
	if (box->magic == ABI_MAILBOX_MAGIC)
		return;
	errno = ENODEV;
	fail("no mailbox: not a machine of thaw");
}

/* Each descriptor of /dev/cuse is one device, which is there when its first request was answered. */
static void make_devices(struct pollfd *fds)
{
	for (int i = 0; i < NDEVICES; i++) {
		fds[i].events = POLLIN;
		fds[i].fd = open("/dev/cuse", O_RDWR | O_CLOEXEC);
		if (fds[i].fd < 0)
			fail("/dev/cuse (module cuse)");
		serve(fds[i].fd, &devices[i]);
	}
}

int main(void)
{
	struct pollfd fds[NDEVICES] = { 0 };

	find_mailbox();
	copy_renew();
	make_devices(fds);
	if (daemon(0, 1) < 0)
		fail("cannot go into the background");
	for (;;) {
		if (poll(fds, NDEVICES, -1) < 0 && errno != EINTR)
			fail("poll");
		for (int i = 0; i < NDEVICES; i++) {
			if (fds[i].revents & POLLIN)
				serve(fds[i].fd, &devices[i]);
		}
	}
}
