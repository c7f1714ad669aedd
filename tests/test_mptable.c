/* SPDX-License-Identifier: Apache-2.0 */
/* test_mptable.c - the MP table as a kernel reads it. Offsets: MultiProcessor Specification 1.4. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "devices/board.h"
#include "devices/mptable.h"
#include "engine/err.h"
#include "engine/irq.h"

static struct mem mem;
static struct err err;

static void setup(void)
{
	mem = (struct mem){ .nregions = 1, .regions = { { .size = MEM_HUGE_SIZE } } };
	cr_assert(eq(int, mem_map(&mem, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	mem_unmap(&mem);
}

TestSuite(mptable, .init = setup, .fini = teardown);

static uint32_t word(gpa_t gpa, size_t size)
{
	uint32_t value = 0;

	memcpy(&value, mem_at(&mem, gpa, size), size);
	return value;
}

static uint8_t sum(gpa_t gpa, uint32_t len)
{
	uint8_t s = 0;

	for (uint32_t i = 0; i < len; i++)
		s += word(gpa + i, 1);
	return s;
}

Test(mptable, leads_from_the_pointer_to_every_line)
{
	static const uint8_t sizes[] = { 20, 8, 8, 8, 8 };
	uint32_t found[5] = { 0 }, lines = 0;
	gpa_t table, at;

	cr_assert(eq(int, mptable_write(&mem, 2, &err), 0), "%s", err.text);
	cr_expect(eq(u32, word(BOARD_EBDA_GPA, 4), 0x5f504d5f)); /* "_MP_" */
	cr_expect(eq(int, sum(BOARD_EBDA_GPA, 16), 0));
	table = word(BOARD_EBDA_GPA + 4, 4);
	cr_expect(eq(u32, word(table, 4), 0x504d4350)); /* "PCMP" */
	cr_expect(eq(int, sum(table, word(table + 4, 2)), 0));
	cr_expect(eq(u32, word(table + 36, 4), 0xfee00000));
	at = table + 44;
	for (uint32_t i = 0; i < word(table + 34, 2); i++) {
		uint32_t type = word(at, 1);

		cr_assert(lt(u32, type, ARRAY_SIZE(sizes)));
		found[type]++;
		if (type == 3) {
			cr_expect(eq(u32, word(at + 5, 1), word(at + 7, 1)));
			cr_expect(eq(u32, word(at + 6, 1), BOARD_IOAPIC_ID));
			lines |= 1u << word(at + 7, 1);
		}
		if (type == 2)
			cr_expect(eq(u32, word(at + 4, 4), BOARD_IOAPIC_GPA));
		at += sizes[type];
	}
	cr_expect(eq(u64, at - table, word(table + 4, 2)));
	cr_expect(eq(u32, found[0], 2));
	cr_expect(eq(u32, found[1], 1));
	cr_expect(eq(u32, found[2], 1));
	cr_expect(eq(u32, lines, (1u << IRQ_PINS) - 1));
	cr_expect(eq(u32, found[4], 1));
}

Test(mptable, has_room_for_so_many_cpus)
{
	cr_expect(eq(int, mptable_write(&mem, 37, &err), 0), "%s", err.text);
	cr_expect(eq(u32, word(BOARD_EBDA_GPA + 1024, 4), 0));
	cr_expect(eq(int, mptable_write(&mem, 38, &err), -EINVAL));
	cr_expect(eq(str, err.text, "38 vCPUs, an MP table has room for 37"));
}
