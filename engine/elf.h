/* SPDX-License-Identifier: Apache-2.0 */
/* elf.h - put a 64-bit ELF kernel into guest memory. The file is not trusted. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "engine/mem.h"
#include "engine/util.h"

struct err;

/*
 * elf_load - copy every PT_LOAD of an x86-64 ET_EXEC file to its physical address.
 * @entry: gets e_entry; @end: gets the first guest address after the last segment.
 * Memory is assumed to be zero, so p_memsz beyond p_filesz costs nothing.
 * Errors: -ENOEXEC and what is wrong where. Guest memory may then be partly written.
 */
int elf_load(const struct mem *mem, const void *file, size_t size, gpa_t *entry, gpa_t *end,
	     struct err *err) must_check;
