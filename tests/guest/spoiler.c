/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spoiler.c - a program that spoils as much of its machine as a program can, event by event, and
 * begins every reply with what it found: after a rewind that is what it found the first time.
 * An event is a decimal number, the seed, padded with anything; with "die" before it the program
 * dies when it has read the start of it.
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xmmintrin.h>

#define SIZE  (8u << 20)
#define REPLY (2u << 20)
#define MXCSR 0x1f80u /* the architecture's default */

static unsigned char *memory, *reply;
static unsigned int events;
static void *mapped;

static void handler(int sig)
{
	(void)sig;
}

static unsigned long sum_of(const unsigned char *p, size_t size)
{
	unsigned long sum = 0;

	for (size_t i = 0; i < size; i += 64)
		sum = sum * 31 + p[i];
	return sum;
}

/* What there is to be found. */
static int look_around(char *text, size_t size)
{
	struct sigaction sa = { 0 };
	char file[16] = "";
	int fd = dup(0), n;
	FILE *f = fopen("/tmp/spoiled", "r");

	sigaction(SIGUSR1, NULL, &sa);
	if (f) {
		if (!fgets(file, sizeof(file), f))
			file[0] = '\0';
		fclose(f);
	}
	n = snprintf(text, size,
		     "events %u memory %lx reply %lx handler %d mxcsr %x fd %d file '%s' "
		     "mapped %d\n",
		     events, sum_of(memory, SIZE), sum_of(reply, REPLY),
		     sa.sa_handler == handler, _mm_getcsr(), fd, file, mapped != NULL);
	close(fd);
	return n;
}

static void fill(unsigned char *p, size_t size, unsigned int seed)
{
	for (size_t i = 0; i < size; i += 64)
		p[i] = (unsigned char)(seed + i / 64);
}

static void spoil(unsigned int seed)
{
	struct sigaction sa = { .sa_handler = handler };
	FILE *f = fopen("/tmp/spoiled", "w");

	events++;
	fill(memory, (seed % 8 + 1) * (SIZE / 8), seed);
	fill(reply, REPLY, seed);
	sigaction(SIGUSR1, &sa, NULL);
	_mm_setcsr(MXCSR | 0x6000); /* toward zero */
	if (f) {
		fprintf(f, "%u", seed);
		fclose(f);
	}
	if (dup(0) < 0)
		abort();
	mapped = mmap(NULL, (size_t)(seed % 64 + 1) << 12, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mapped == MAP_FAILED)
		abort();
	memset(mapped, 1, 4096);
}

int main(void)
{
	static char rest[8192];
	char event[12] = "", text[256];
	unsigned int seed;
	int n;

	memory = malloc(SIZE);
	reply = malloc(REPLY);
	if (!memory || !reply)
		return 1;
	fill(memory, SIZE, 1);
	fill(reply, REPLY, 2);
	while (read(3, event, sizeof(event) - 1) >= 0) {
		n = look_around(text, sizeof(text));
		seed = (unsigned int)strtoul(event + 3, NULL, 10);
		spoil(seed);
		if (strncmp(event, "die", 3) == 0)
			abort();
		if (read(3, rest, sizeof(rest)) < 0)
			return 1;
		if (write(4, text, (size_t)n) != n ||
		    write(4, reply, seed % REPLY) != (ssize_t)(seed % REPLY))
			return 1;
	}
	return 1;
}
