/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dirty.c - the bench payload for forks: an event is a number, and so many pages are written to,
 * each with what was never there before. The reply is the event.
 */
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE  4096
#define PAGES 1024

static volatile uint64_t memory[PAGES][PAGE / 8] __attribute__((aligned(PAGE)));

static void dirty(unsigned long n)
{
	static uint64_t value;

	for (unsigned long page = 0; page < n && page < PAGES; page++)
		memory[page][0] = ++value;
}

int main(void)
{
	char event[16] = { 0 };
	ssize_t n;

	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		dirty(strtoul(event, NULL, 10));
		if (write(4, event, (size_t)n) != n)
			return 1;
	}
	return 1;
}
