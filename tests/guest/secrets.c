/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secrets.c - what getrandom gave out cannot be computed from what kindling keeps: nowhere in
 * its memory is the key that was used, and the entropy in the mailbox is gone. Prints "ok" and
 * ends with status 0.
 */
#include <sys/random.h>

#include "guest/abi.h"
#include "tests/guest/check.h"

#define KINDLING      ((const uint32_t *)0x7f8000100000) /* docs/kindling.md */
#define KINDLING_SIZE 0x100000u
#define WINDOW	      ((const struct abi_mailbox *)0x7f8000400000)

static uint32_t rotate(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

static void quarter(uint32_t *x, int a, int b, int c, int d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

/* Is @wanted the start of the first ChaCha20 block that a generator with this key gives out?
 * (RFC 8439 2.3; block 0 is its next key.) */
static int gives(const uint32_t *key, const uint32_t *wanted)
{
	uint32_t in[16] = { 0x61707865, 0x3320646e, 0x79622d32, 0x6b206574 }, x[16];

	memcpy(in + 4, key, 32);
	in[12] = 1;
	memcpy(x, in, sizeof(x));
	for (int i = 0; i < 10; i++)
		for (int j = 0; j < 8; j++)
			quarter(x, j & 3, 4 + ((j & 3) + j / 4) % 4,
				8 + ((j & 3) + j / 4 * 2) % 4, 12 + ((j & 3) + j / 4 * 3) % 4);
	for (int i = 0; i < 4; i++)
		if (x[i] + in[i] != wanted[i])
			return 0;
	return 1;
}

int main(void)
{
	static const uint8_t zeros[ABI_ENTROPY_SIZE];
	uint32_t before[8], got[4];

	CHECK(getrandom(got, sizeof(got), 0) == sizeof(got));
	for (size_t i = 0; i + 8 <= KINDLING_SIZE / 4; i++) {
		memcpy(before, KINDLING + i, sizeof(before));
		CHECK(!gives(before, got));
	}
	CHECK(memcmp(WINDOW->entropy, zeros, sizeof(zeros)) == 0);

	/* That the search would find it: the key of the next bytes is there. */
	for (size_t i = 0; i + 8 <= KINDLING_SIZE / 4; i++) {
		static uint32_t keys[KINDLING_SIZE / 4];

		if (i == 0) {
			memcpy(keys, KINDLING, sizeof(keys));
			CHECK(getrandom(got, sizeof(got), 0) == sizeof(got));
		}
		if (gives(keys + i, got)) {
			puts("ok");
			return 0;
		}
	}
	CHECK(0 && sizeof("found"));
}
