/* SPDX-License-Identifier: Apache-2.0 */
#include "guest/kindling/tables.h"

#include "guest/kindling/bytes.h"
#include "guest/kindling/entry.h"
#include "guest/kindling/log.h"

/* Page-table bits (Intel SDM vol. 3A 4.5; AMD APM vol. 2 5.3). */
#define PRESENT	 (1ull << 0)
#define WRITE	 (1ull << 1)
#define USER	 (1ull << 2)
#define ACCESSED (1ull << 5)
#define DIRTY	 (1ull << 6)
#define LARGE	 (1ull << 7)
#define NO_EXEC	 (1ull << 63)
#define ADDRESS	 0x000ffffffffff000ull

#define TABLE (PRESENT | WRITE | USER | ACCESSED)
#define LEAF  (PRESENT | USER | ACCESSED | DIRTY)

static uint64_t pages_taken;

void *tables_take(uint64_t npages, const char *what)
{
	uint8_t *p = kernel_end + pages_taken * LAYOUT_PAGE;

	if (npages > (LAYOUT_KERNEL_END - (uintptr_t)p) / LAYOUT_PAGE)
		log_die("no room for %s: kindling's memory ends at 2 MiB (%lu of %lu KiB used)",
			what, pages_taken * 4,
			(LAYOUT_KERNEL_END - (uintptr_t)kernel_end) / 1024);
	pages_taken += npages;
	return p;
}

/* The table that @entry points to; a new one if it points nowhere. */
static uint64_t *table_below(uint64_t *entry)
{
	if (!*entry) {
		void *table = tables_take(1, "page tables");

		*entry = ((uintptr_t)table - LAYOUT_KERNEL) | TABLE;
	}
	return (uint64_t *)(LAYOUT_KERNEL + (*entry & ADDRESS));
}

static unsigned int table_index(uint64_t va, unsigned int shift)
{
	return va >> shift & 511;
}

void tables_map(uint64_t va, uint64_t pa, uint64_t size, uint32_t allow)
{
	uint64_t bits =
		LEAF | (allow & TABLES_WRITE ? WRITE : 0) | (allow & TABLES_EXEC ? 0 : NO_EXEC);

	while (size) {
		uint64_t *pdpt = table_below(&boot_pml4[table_index(va, 39)]);
		uint64_t *pd = table_below(&pdpt[table_index(va, 30)]);
		uint64_t step = LAYOUT_HUGE_PAGE;

		if (((va | pa) & (step - 1)) == 0 && size >= step) {
			pd[table_index(va, 21)] = pa | bits | LARGE;
		} else {
			step = LAYOUT_PAGE;
			table_below(&pd[table_index(va, 21)])[table_index(va, 12)] = pa | bits;
		}
		va += step;
		pa += step;
		size -= step;
	}
}

/* The draft is boot.S's first top-level table, which nobody uses any more. */
void tables_link(void)
{
	for (unsigned int i = 0; i < 512; i++) {
		if (boot_pml4[i] && !tables_pml4[i])
			((volatile uint64_t *)tables_pml4)[i] = boot_pml4[i];
		boot_pml4[i] = 0;
	}
}
