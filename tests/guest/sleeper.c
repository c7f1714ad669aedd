/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sleeper.c - every event is a number of milliseconds: sleep so long and reply "slept N", where
 * N are the milliseconds that CLOCK_MONOTONIC says it took.
 */
#include <time.h>
#include <unistd.h>

#include "tests/guest/check.h"

static long now_ms(void)
{
	struct timespec ts;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(void)
{
	char event[32], reply[64];
	ssize_t n;

	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		long ms, from = now_ms();
		struct timespec ts;

		event[n] = '\0';
		ms = strtol(event, NULL, 10);
		ts = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
		CHECK(nanosleep(&ts, NULL) == 0);
		snprintf(reply, sizeof(reply), "slept %ld", now_ms() - from);
		CHECK(write(4, reply, strlen(reply)) == (ssize_t)strlen(reply));
	}
	return 1;
}
