/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.h - from the files that the host placed in RAM to a program that can be started.
 */
#pragma once

#include <stdint.h>

struct abi_boot_info;

struct program {
	uint64_t entry;	     /* its first instruction */
	uint64_t sp;	     /* its stack pointer there */
	uint64_t stack_size; /* bytes */
	uint64_t args;	     /* address of its arguments, one string behind the other */
	uint64_t args_size;  /* bytes */
	uint64_t arena_size; /* bytes at LAYOUT_ARENA; zero */
};

extern struct program program;

/*
 * program_load - copy the program into place, map it, a stack and the arena, fill the stack,
 * and clear the files it came from. The direct map is linked; the tables of the rest are
 * drafted and linked here. Ends the machine with a sentence when something does not fit.
 */
void program_load(const struct abi_boot_info *info);
