/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field.c - pages whose content is known. Every event "FIRST STEP COUNT" has it look at COUNT
 * pages, from FIRST on in steps of STEP (modulo FIELD_PAGES; negative steps are fine), in that
 * order, and reply "ok", or which page is wrong. "w FIRST STEP COUNT" also writes to each page,
 * and later looks expect that. Page i is zero where i % 8 == 7.
 */
#include <unistd.h>

#include "tests/guest/check.h"

#define FIELD_PAGES 2048
#define WORDS	    512

static uint64_t field[FIELD_PAGES][WORDS] __attribute__((aligned(4096)));
static unsigned char written[FIELD_PAGES];

/* Half of a page does not compress. */
static uint64_t word_of(long page, int i)
{
	uint64_t x = (uint64_t)page * 0x9e3779b97f4a7c15u + (uint64_t)i;

	if (page % 8 == 7)
		return 0;
	if (i >= WORDS / 2)
		return (uint64_t)page;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	return x ^ x >> 27;
}

static int is_right(long page)
{
	for (int i = 0; i < WORDS; i++) {
		uint64_t want = i == 3 && written[page] ? 1 : word_of(page, i);

		if (field[page][i] != want)
			return 0;
	}
	return 1;
}

static void answer(const char *event, char *reply, size_t size)
{
	int writes = event[0] == 'w';
	long first, step, count, page = 0;

	CHECK(sscanf(event + writes, "%ld %ld %ld", &first, &step, &count) == 3);
	for (long n = 0; n < count; n++) {
		page = ((first + n * step) % FIELD_PAGES + FIELD_PAGES) % FIELD_PAGES;
		if (!is_right(page)) {
			snprintf(reply, size, "page %ld is wrong", page);
			return;
		}
		if (writes) {
			field[page][3] = 1;
			written[page] = 1;
		}
	}
	snprintf(reply, size, "ok");
}

int main(void)
{
	char event[64], reply[64];
	ssize_t n;

	for (long page = 0; page < FIELD_PAGES; page++) {
		for (int i = 0; page % 8 != 7 && i < WORDS; i++)
			field[page][i] = word_of(page, i);
	}
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		answer(event, reply, sizeof(reply));
		CHECK(write(4, reply, strlen(reply)) == (ssize_t)strlen(reply));
	}
	return 1;
}
