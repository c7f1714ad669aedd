/* SPDX-License-Identifier: Apache-2.0 */
/* answer.c - what a process does that is started for one event: read it, answer it, end. The
 * peer of a machine that runs the echo sample. */
#include <unistd.h>

int main(void)
{
	static char event[64 * 1024];
	ssize_t n = read(STDIN_FILENO, event, sizeof(event));

	return n >= 0 && write(STDOUT_FILENO, event, (size_t)n) == n ? 0 : 1;
}
