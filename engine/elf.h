/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - put a 64-bit ELF kernel into guest memory. The file is not trusted. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"

struct err;

struct elf_loaded {
	gpa_t entry; /* e_entry */
	gpa_t start,
		end; /* of guest memory that segments lie in: the lowest, and after the last */
};

/*
 * elf_load - copy every PT_LOAD of an x86-64 ET_EXEC file to its physical address.
 * Memory is assumed to be zero, so p_memsz beyond p_filesz costs nothing.
 * Errors: -ENOEXEC and what is wrong where. Guest memory may then be partly written.
 */
int elf_load(const struct mem *mem, const void *file, size_t size, struct elf_loaded *to,
	     struct err *err) must_check;

/* Is it an ELF file, of whatever kind? */
bool elf_is(const void *file, size_t size);

struct elf_note {
	const char *name;
	uint32_t type;
	const uint8_t *desc; /* of what was found: in the file */
	uint32_t desc_size;
};

/*
 * elf_note_find - look for a note in the PT_NOTE segments of a file that elf_load took.
 * @note: name and type are set; the rest is written.
 * Returns 1, or 0 if there is none. Errors: -ENOEXEC when notes do not fit the file.
 */
int elf_note_find(const void *file, size_t size, struct elf_note *note,
		  struct err *err) must_check;
