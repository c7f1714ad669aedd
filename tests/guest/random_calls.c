/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random_calls.c - system calls with random numbers and arguments. The event is "SEED COUNT";
 * the reply is "SEED COUNT done" if the program lives to tell. The event "ping" is answered
 * with "pong". Descriptors 3 and 4 are used by no random call, so that the reply is its own,
 * and calls that end or stop the program, or sleep, get no free hand.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/guest/check.h"

#define NUMBERS 470u /* a few more than there are */
#define SCRATCH (1ul << 20)

static char *scratch;
static uint64_t state;

static uint64_t draw(void)
{
	uint64_t z = state += 0x9e3779b97f4a7c15; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* A name that may be there, in scratch memory. */
static uint64_t draw_name(void)
{
	static const char *const names[] = {
		"/tmp",
		"/tmp/a",
		"/tmp/b",
		"/tmp/a/b",
		"/dev/null",
		"/dev/zero",
		"/dev/full",
		"/proc/self",
		"/proc/self/maps",
		"/proc/self/fd/5",
		"/tmp/../tmp/./c",
		"",
		"/",
		"/tmp/a/",
		"relative",
	};
	char *to = scratch + draw() % (SCRATCH - 64);

	const char *name = names[draw() % (sizeof(names) / sizeof(names[0]))];

	memcpy(to, name, strlen(name) + 1);
	return (uintptr_t)to;
}

static uint64_t draw_pointer(void)
{
	switch (draw() % 8) {
	case 0:
		return draw();
	case 1:
		return (uintptr_t)&state & ~4095ul; /* our data; where it hurts is fine too */
	case 2:
		return 0x7f8000000000 + draw() % (16ul << 20); /* kindling and its mailbox */
	case 3:
		return 0x7f0001000000 + draw() % (64ul << 20); /* the arena */
	case 4:
		return (uintptr_t)scratch + SCRATCH - draw() % 64;
	default:
		return (uintptr_t)scratch + draw() % SCRATCH;
	}
}

static uint64_t draw_argument(void)
{
	switch (draw() % 6) {
	case 0:
		return draw() % 8 == 0 ? draw() : draw() % 16;
	case 1:
		return draw() % (1u << draw() % 24);
	case 2:
		return draw_name();
	case 3: {
		uint64_t fd = draw() % 64;

		return fd == 3 || fd == 4 ? 5 : fd;
	}
	default:
		return draw_pointer();
	}
}

/* What would end the run, or make it long without a use. */
static int is_spared(uint64_t number)
{
	switch (number) {
	case SYS_exit:
	case SYS_exit_group:
	case SYS_kill:
	case SYS_tkill:
	case SYS_tgkill:
	case SYS_rt_sigqueueinfo:
	case SYS_rt_tgsigqueueinfo:
	case SYS_rt_sigreturn:
	case SYS_pause:
	case SYS_rt_sigsuspend:
	case SYS_rt_sigtimedwait:
	case SYS_futex:
	case SYS_poll:
	case SYS_ppoll:
	case SYS_select:
	case SYS_pselect6:
	case SYS_nanosleep:
	case SYS_clock_nanosleep:
		return draw() % 512 != 0;
	default:
		return 0;
	}
}

static int uses_stream(uint64_t fd)
{
	return (uint32_t)fd == 3 || (uint32_t)fd == 4;
}

static void one_call(void)
{
	uint64_t number = draw() % NUMBERS, a[6];

	for (int i = 0; i < 6; i++)
		a[i] = draw_argument();
	/* Neither the streams themselves, nor another descriptor in their place. */
	if (is_spared(number) || uses_stream(a[0]) || uses_stream(a[1]) ||
	    number == SYS_close_range)
		return;
	syscall((long)number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void answer(const char *event)
{
	unsigned long seed, count;
	char reply[64], *end;

	if (strcmp(event, "ping") == 0) {
		CHECK(write(4, "pong", 4) == 4);
		return;
	}
	seed = strtoul(event, &end, 10);
	count = strtoul(end, &end, 10);
	CHECK(!*end && count);
	state = seed;
	for (unsigned long i = 0; i < count; i++)
		one_call();
	snprintf(reply, sizeof(reply), "%lu %lu done", seed, count);
	CHECK(write(4, reply, strlen(reply)) == (ssize_t)strlen(reply));
}

int main(void)
{
	char event[64];
	ssize_t n;

	scratch =
		mmap(NULL, SCRATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(scratch != MAP_FAILED);
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		answer(event);
	}
	return 1;
}
