/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moody.c - a program that does what it is told, for tests/e2e_cli.sh. With arguments it does
 * one thing and ends; without, it serves events: crash, abort, exit, hang, chatter, "say ..." that it
 * prints, or a reply.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int *volatile nowhere = (int *)16;

static int copy(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (write(1, buf, (size_t)n) != n)
			return 1;
	}
	return n < 0;
}

static int command(char **argv)
{
	const char *arg = argv[2] ? argv[2] : "";

	if (strcmp(argv[1], "cat") == 0)
		return copy(0);
	if (strcmp(argv[1], "exit") == 0)
		return atoi(arg);
	if (strcmp(argv[1], "file") == 0)
		return copy(open(arg, O_RDONLY));
	if (strcmp(argv[1], "env") == 0)
		return puts(getenv(arg) ? getenv(arg) : "(not set)") < 0;
	return 1;
}

int main(int argc, char **argv)
{
	char event[256], reply[300];
	ssize_t n;

	if (argc > 1)
		return command(argv);
	while ((n = read(3, event, sizeof(event) - 1)) >= 0) {
		event[n] = '\0';
		if (strcmp(event, "crash") == 0)
			*nowhere = 1;
		if (strcmp(event, "abort") == 0)
			abort();
		if (strcmp(event, "exit") == 0)
			return 3;
		for (int i = 0; strcmp(event, "chatter") == 0 && i < 1000; i++)
			printf("%0999d\n", i);
		if (strncmp(event, "say ", 4) == 0)
			puts(event);
		fflush(stdout);
		while (strcmp(event, "hang") == 0)
			*(volatile char *)event = 'h';
		n = snprintf(reply, sizeof(reply), "moody: %s", event);
		if (write(4, reply, (size_t)n) != n)
			return 1;
	}
	return 1;
}
