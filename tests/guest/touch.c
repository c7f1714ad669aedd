/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c - a guest that touches the pages it is told to, in that order: an event is a list of
 * accesses, "r5 w9 r12": read page 5, write to page 9. The reply is "touched N". Each page has
 * a stamp and its number at its start, so that a host finds it in the machine's memory. "die"
 * and "spin" are no list.
 */
#include <unistd.h>

#include "tests/guest/check.h"

#define PAGES 64u
#define STAMP 0x7468617720706167ull

struct page {
	uint64_t stamp, number;
	volatile uint64_t written;
	uint8_t rest[4096 - 24];
};

static _Alignas(4096) struct page pages[PAGES];

static unsigned int obey(const char *event)
{
	unsigned int n = 0, number;
	char what;
	int len;

	while (sscanf(event, " %c%u%n", &what, &number, &len) == 2) {
		CHECK(number < PAGES && (what == 'r' || what == 'w'));
		if (what == 'w')
			pages[number].written = n;
		else
			(void)pages[number].written;
		event += len;
		n++;
	}
	return n;
}

int main(void)
{
	static char event[512];
	char reply[64];
	ssize_t n;

	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i].stamp = STAMP;
		pages[i].number = i;
	}
	obey("r0 r1"); /* what sscanf does once is done before the freeze */
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		CHECK(strcmp(event, "die") != 0);
		while (strcmp(event, "spin") == 0)
			;
		snprintf(reply, sizeof(reply), "touched %u", obey(event));
		CHECK(write(4, reply, strlen(reply)) == (ssize_t)strlen(reply));
	}
	return 1;
}
