/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory.h - brk, mmap and their family: bookkeeping over an arena that is mapped all the
 * time. One bit per page says whether the program was given it. A page that is given back is
 * cleared at once, so a free page is always zero and images stay small.
 *
 * No mapping ever changes, so mprotect forbids nothing, PROT_NONE memory can be touched, and
 * the arena is never executable.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/call.h"

/* Needs program.arena_size; takes the bitmap from tables_take. */
void memory_init(void);

/* Bytes of the arena that nobody has; the end of the heap that starts where the arena does. */
uint64_t memory_free(void);
uint64_t memory_heap_end(void);

/*
 * memory_take - @npages consecutive zero pages for kindling's own use, out of the program's
 * reach by munmap and its like. NULL: there are no more.
 * memory_give_back clears them. @p NULL: nothing happens.
 */
void *memory_take(uint64_t npages);
void memory_give_back(void *p, uint64_t npages);

/* Does [@addr, @addr + @size), which is in the arena, touch such a page? */
int memory_is_ours(uint64_t addr, uint64_t size);

call_fn memory_brk, memory_map, memory_unmap, memory_remap, memory_protect, memory_advise;
