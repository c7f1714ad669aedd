/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c - the bench payload: every event makes it read one word of each of 2,048 pages, and
 * the reply is a checksum of what it read, so that it can only be right if all pages were.
 *
 * The pages are filled when the image is made, with bytes that compress about as well as a
 * program's data do (2 to 1): half of each page is noise, half repeats.
 */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define PAGES 2048
#define WORDS 512 /* of a page */

static uint64_t memory[PAGES][WORDS] __attribute__((aligned(4096)));

static void fill(void)
{
	uint64_t x = 0x7468617721; /* ours; xorshift64, Marsaglia 2003 */

	for (int page = 0; page < PAGES; page++) {
		for (int i = 0; i < WORDS; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			memory[page][i] = i % 2 ? x : (uint64_t)page;
		}
	}
}

static uint64_t sum(void)
{
	uint64_t sum = 0;

	for (int page = 0; page < PAGES; page++)
		sum = (sum << 7 | sum >> 57) ^ memory[page][(page * 7) % WORDS | 1];
	return sum;
}

int main(void)
{
	char event[64], reply[32];

	fill();
	while (read(3, event, sizeof(event)) >= 0) {
		int n = snprintf(reply, sizeof(reply), "%016llx", (unsigned long long)sum());

		if (write(4, reply, (size_t)n) != n)
			return 1;
	}
	return 1;
}
