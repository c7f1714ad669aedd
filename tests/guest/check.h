/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - for programs that test kindling from inside: a check that fails says where and
 * ends the program with status 1.
 */
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void check(int passed, const char *what, const char *file, int line)
{
	if (passed)
		return;
	fprintf(stderr, "%s:%d: %s: errno %d\n", file, line, what, errno);
	exit(1);
}

#define CHECK(what) check((what) != 0, #what, __FILE__, __LINE__)

/* @call gives -1 and errno @code. */
#define CHECK_FAILS(call, code)                                                                \
	check((errno = 0, (long)(call) == -1 && errno == (code)), #call, __FILE__, __LINE__)

/* An address with nothing behind it that compilers do not see through. */
static inline char *nowhere(void)
{
	static volatile uintptr_t address = 64;

	return (char *)address;
}
