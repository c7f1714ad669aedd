/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pc_memory.h"

struct mem pc_memory_layout(uint64_t size)
{
	struct mem m = { .nregions = 1, .regions[0].size = MIN(size, PC_HOLE_GPA) };

	if (size > PC_HOLE_GPA)
		m.regions[m.nregions++] = (struct mem_region){
			.gpa = PC_HOLE_END,
			.size = size - PC_HOLE_GPA,
		};
	return m;
}

uint32_t pc_memory_map(const struct mem *mem, struct pc_range ranges[PC_RANGES_MAX])
{
	uint32_t n = 0;

	ranges[n++] = (struct pc_range){ 0, PC_EBDA_GPA, PC_RAM };
	ranges[n++] =
		(struct pc_range){ PC_EBDA_GPA, PC_MIDDLE_GPA - PC_EBDA_GPA, PC_RESERVED };
	ranges[n++] = (struct pc_range){ PC_MIDDLE_GPA, mem->regions[0].size - PC_MIDDLE_GPA,
					 PC_RAM };
	for (uint32_t i = 1; i < mem->nregions; i++)
		ranges[n++] =
			(struct pc_range){ mem->regions[i].gpa, mem->regions[i].size, PC_RAM };
	return n;
}
