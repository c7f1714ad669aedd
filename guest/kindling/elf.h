/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elf.h - what a program's ELF file asks for. Only reads and checks; program.c acts on it.
 * Every field of the file is hostile. Plain C, so that a host-side fuzzer can use it.
 *
 * Accepted: ELF64 little-endian x86-64, ET_EXEC or static PIE (ET_DYN without PT_INTERP).
 */
#pragma once

#include <stdint.h>

#define ELF_MAX_SEGMENTS 16  /* ours: linkers make 2 to 5 */
#define ELF_WHY_SIZE	 192 /* bytes for the reason of a refusal */

enum { ELF_WRITE = 1u, ELF_EXEC = 2u };

/* One PT_LOAD. Segments are in ascending order and share no page. */
struct elf_segment {
	uint64_t vaddr;	 /* where it starts, any alignment; the PIE base is in it */
	uint64_t memsz;	 /* bytes in memory, at least 1 */
	uint64_t offset; /* where its bytes are in the file */
	uint64_t filesz; /* bytes in the file, at most memsz; the rest is zero */
	uint32_t allow;	 /* ELF_WRITE, ELF_EXEC; reading is always allowed */
};

struct elf_image {
	uint64_t base;	/* what was added to all addresses: 0, or where a PIE lies */
	uint64_t entry; /* inside an executable segment */
	uint64_t phdr;	/* where the program headers lie in memory; 0: in no segment */
	uint16_t phnum;
	uint8_t exec_stack; /* PT_GNU_STACK asks for an executable stack */
	uint32_t nsegments;
	struct elf_segment segments[ELF_MAX_SEGMENTS];
};

/*
 * elf_parse - check @size bytes at @file and fill @image.
 * @why: the reason of a refusal, ELF_WHY_SIZE bytes; starts with "program ".
 * Returns 0 or -1. Then @image is unspecified.
 */
int elf_parse(const void *file, uint64_t size, struct elf_image *image, char *why);
