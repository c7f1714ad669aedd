/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/identity_map.h"

#include "engine/x86.h"

#define PDPT_GPA (IDENTITY_MAP_GPA + MEM_PAGE_SIZE)
#define PD_GPA	 (PDPT_GPA + MEM_PAGE_SIZE)
#define ENTRIES	 512u /* of one table */

void identity_map_write(const struct mem *mem, uint32_t ngib)
{
	uint64_t *pml4 = mem_at(mem, IDENTITY_MAP_GPA, MEM_PAGE_SIZE);
	uint64_t *pdpt = mem_at(mem, PDPT_GPA, MEM_PAGE_SIZE);
	uint64_t *pd = mem_at(mem, PD_GPA, (uint64_t)ngib * MEM_PAGE_SIZE);

	pml4[0] = PDPT_GPA | PTE_P | PTE_W | PTE_A;
	for (uint64_t i = 0; i < ngib; i++)
		pdpt[i] = (PD_GPA + i * MEM_PAGE_SIZE) | PTE_P | PTE_W | PTE_A;
	for (uint64_t i = 0; i < (uint64_t)ngib * ENTRIES; i++)
		pd[i] = i * MEM_HUGE_SIZE | PTE_P | PTE_W | PTE_A | PTE_D | PTE_PS;
}
