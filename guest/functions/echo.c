/* SPDX-License-Identifier: Apache-2.0 */
/*
 * echo.c - the smallest complete function: the reply is the event.
 *
 * An event longer than the buffer comes in parts: lseek(3, 0, SEEK_END) says how much of it
 * there is. Several writes before the next event make one reply, so no size needs more memory.
 */
#include <unistd.h>

int main(void)
{
	static char part[64 * 1024];
	ssize_t n;

	while ((n = read(3, part, sizeof(part))) >= 0) {
		off_t left = lseek(3, 0, SEEK_END) - n;

		while (write(4, part, (size_t)n) == n && left > 0 &&
		       (n = read(3, part, sizeof(part))) > 0)
			left -= n;
	}
	return 1;
}
