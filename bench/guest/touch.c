/* SPDX-License-Identifier: Apache-2.0 */
/*
 * touch.c - the bench payload: every event makes it read one word of each of 2,048 pages, and
 * the reply is a checksum of what it read, so that it can only be right if all pages were.
 *
 * The pages are filled when the image is made, with what real memory holds a lot of: program
 * text, this program's own, each page from another place of it. It compresses as that does.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PAGE  4096
#define PAGES 2048
#define WORDS (PAGE / 8)

/* Of the linker: where the program's text begins and ends. */
extern const char __executable_start[], etext[];

static uint64_t memory[PAGES][WORDS] __attribute__((aligned(PAGE)));

static void fill(void)
{
	size_t room = (size_t)(etext - __executable_start) - PAGE;

	for (size_t page = 0; page < PAGES; page++) {
		memcpy(memory[page], __executable_start + page * (PAGE + 13) % room, PAGE);
		memory[page][0] = page + 1; /* no page is zero, and no two are equal */
	}
}

static uint64_t sum(void)
{
	uint64_t sum = 0;

	for (size_t page = 0; page < PAGES; page++)
		sum = (sum << 7 | sum >> 57) ^ memory[page][0] ^ memory[page][page % WORDS];
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
