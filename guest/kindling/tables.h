/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tables.h - page tables, built once, before the program starts. Once an entry is linked it is
 * never written again: a host with shadow paging has to notice every such write, and after the
 * freeze nobody could tell a changed table from a stale translation.
 */
#pragma once

#include <stdint.h>

#include "guest/kindling/layout.h"

/* What a mapping allows besides reading. */
#define TABLES_WRITE 1u
#define TABLES_EXEC  2u

/*
 * tables_take - @npages fresh, zero, consecutive pages between kindling's end and 2 MiB.
 * Never given back. Ends the machine when there are no more; @what says what they were for.
 */
void *tables_take(uint64_t npages, const char *what);

/* Add [@va, @va + @size) -> @pa to the draft, in large pages wherever both are aligned to one.
 * @size and both addresses: multiples of a page, in a PML4 slot that was not linked yet. */
void tables_map(uint64_t va, uint64_t pa, uint64_t size, uint32_t allow);

/* Make the draft real: one store for each PML4 slot. */
void tables_link(void);

/* RAM by its physical address, through the direct map. */
static inline void *tables_direct(uint64_t pa)
{
	return (void *)(LAYOUT_DIRECT + pa);
}
