/* SPDX-License-Identifier: Apache-2.0 */
/*
 * big.c - 600 MiB of zeros that start in the middle of a large page: there must be page tables
 * for them. Needs 1 GiB of memory. Prints "ok" and ends with status 0.
 */
#include "tests/guest/check.h"

#define MIB  (1ul << 20)
#define SIZE (600 * MIB)

static char zeros[SIZE];

int main(void)
{
	for (size_t i = 0; i < SIZE; i += MIB) {
		CHECK(((volatile char *)zeros)[i] == 0);
		if (i % (50 * MIB) == 0)
			zeros[i] = (char)(i / MIB);
	}
	for (size_t i = 0; i < SIZE; i += 50 * MIB)
		CHECK(zeros[i] == (char)(i / MIB));
	CHECK(zeros[SIZE - 1] == 0);
	puts("ok");
	return 0;
}
