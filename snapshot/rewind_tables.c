/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/rewind_tables.h"

#include <string.h>

#include "engine/x86.h"
#include "snapshot/rewind.h"

/* Bits 51:12 of an entry and of CR3. Source: SDM vol. 3A, 4.5.4 */
#define TABLE_MASK 0x000ffffffffff000ull
#define TABLE_SIZE 512u /* entries */

/* Note a table's page; false where it is outside memory, or was noted before: tables may share
 * tables, and even contain themselves. */
static bool mark_page(struct rewind *r, const struct mem *origin, gpa_t gpa)
{
	for (uint32_t i = 0; i < origin->nregions; i++) {
		const struct mem_region *region = &origin->regions[i];
		uint64_t page = (gpa - region->gpa) / MEM_PAGE_SIZE;

		if (gpa < region->gpa || page >= r->areas[i].npages)
			continue;
		if (pages_test(r->areas[i].tables, page))
			return false;
		pages_set(r->areas[i].tables, page);
		return true;
	}
	return false;
}

/* @level: 1 for a table whose entries are pages. At most 4 calls deep. */
static void mark_table(struct rewind *r, const struct mem *origin, gpa_t gpa, int level)
{
	const uint8_t *table = mem_at(origin, gpa, MEM_PAGE_SIZE);

	if (!table || !mark_page(r, origin, gpa) || level == 1)
		return;
	for (unsigned int i = 0; i < TABLE_SIZE; i++) {
		uint64_t entry;

		memcpy(&entry, table + i * sizeof(entry), sizeof(entry));
		if (entry & PTE_P && !(level <= 3 && entry & PTE_PS))
			mark_table(r, origin, entry & TABLE_MASK, level - 1);
	}
}

void rewind_tables_mark(struct rewind *r, const struct mem *origin,
			const struct kvm_sregs *sregs)
{
	if (sregs->cr0 & CR0_PG && sregs->efer & EFER_LMA)
		mark_table(r, origin, sregs->cr3 & TABLE_MASK, sregs->cr4 & CR4_LA57 ? 5 : 4);
}
