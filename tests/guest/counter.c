/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counter.c - a function with a past: event "add N" adds N to a sum and dirties as many pages as
 * "dirty N" said, "clear" zeroes these pages, anything else only asks. The reply is
 * "sum SUM events EVENTS pages CHECK random R": CHECK sums up what is in the pages, R is new
 * after every thaw.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define PAGE  4096u
#define PAGES 4096u /* 16 MiB */

static uint8_t area[PAGES][PAGE] __attribute__((aligned(4096)));
static unsigned long dirty = 1, sum, events;

static uint64_t check(void)
{
	uint64_t total = 0;

	for (unsigned long i = 0; i < dirty; i++)
		total = total * 31 + area[i][i % PAGE];
	return total;
}

static void obey(const char *event)
{
	unsigned long n = strtoul(strchr(event, ' ') ? strchr(event, ' ') : "0", NULL, 10);

	if (strncmp(event, "dirty ", 6) == 0)
		dirty = n <= PAGES ? n : PAGES;
	if (strncmp(event, "add ", 4) == 0) {
		sum += n;
		for (unsigned long i = 0; i < dirty; i++)
			area[i][i % PAGE] = (uint8_t)(sum + i);
	}
	if (strcmp(event, "clear") == 0)
		memset(area, 0, dirty * PAGE);
}

int main(void)
{
	static char event[256], reply[256];
	ssize_t n;

	/* Not zero in the image, so that zeros are a change of it. */
	for (unsigned long i = 0; i < PAGES; i++)
		area[i][(i + 1) % PAGE] = 1;
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		unsigned long long random = 0;

		event[n] = '\0';
		events++;
		obey(event);
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return 1;
		n = snprintf(reply, sizeof(reply), "sum %lu events %lu pages %llx random %llx",
			     sum, events, (unsigned long long)check(), random);
		if (write(4, reply, (size_t)n) != n)
			return 1;
	}
	return 0;
}
