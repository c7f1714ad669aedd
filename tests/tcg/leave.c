/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leave.c - end the emulated machine: `leave STATUS` makes QEMU's isa-debug-exit device, at the
 * port that tests/tcg/boot.sh gives it, exit with STATUS * 2 + 1. Started by tests/tcg/init.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/io.h>

#define EXIT_PORT 0xf4

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: leave STATUS\n");
		return 2;
	}
	if (ioperm(EXIT_PORT, 1, 1) < 0) {
		perror("leave: ioperm");
		return 1;
	}
	outb((unsigned char)strtoul(argv[1], NULL, 10), EXIT_PORT);
	return 1; /* no such device: init says so */
}
