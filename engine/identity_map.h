/* SPDX-License-Identifier: Apache-2.0 */
/* identity_map.h - page tables for a kernel's first instructions in 64-bit mode. It replaces them. */
#pragma once

#include "engine/mem.h"

/* In low memory that no kernel or module uses, one page each: PML4, PDPT, and up to four page
 * directories. Addresses are ours; Firecracker's are the same, for easier comparison. */
#define IDENTITY_MAP_GPA     0x9000u /* what CR3 gets */
#define IDENTITY_MAP_GIB_MAX 4u

/* Map the first @ngib GiB to themselves, by 2 MiB pages. */
void identity_map_write(const struct mem *mem, uint32_t ngib);
