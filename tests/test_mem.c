/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/err.h"
#include "engine/mem.h"
#include "engine/util.h"

#define HUGE ((uint64_t)MEM_HUGE_SIZE)
#define HIGH UINT64_C(0x100000000)

/* Two regions: the first from 0, the second at 4 GiB. */
static struct mem two(void)
{
	return (struct mem){ .nregions = 2,
			     .regions = { { .gpa = 0, .size = 2 * HUGE },
					  { .gpa = HIGH, .size = HUGE } } };
}

Test(mem, a_guest_address_is_only_valid_inside_one_region)
{
	/* region: where the bytes lie, -1: nowhere; off: from the region's start */
	static const struct {
		const char *why;
		uint64_t gpa, len;
		int region;
		uint64_t off;
	} cases[] = {
		{ "first byte", 0, 1, 0, 0 },
		{ "last byte", 2 * HUGE - 1, 1, 0, 2 * HUGE - 1 },
		{ "whole region", 0, 2 * HUGE, 0, 0 },
		{ "one byte more than the region", 0, 2 * HUGE + 1, -1, 0 },
		{ "straddles the end", 2 * HUGE - 4, 8, -1, 0 },
		{ "just behind the region", 2 * HUGE, 1, -1, 0 },
		{ "in the hole", HIGH - 1, 1, -1, 0 },
		{ "straddles the start of the second", HIGH - 4, 8, -1, 0 },
		{ "first byte of the second", HIGH, 1, 1, 0 },
		{ "last byte of the second", HIGH + HUGE - 1, 1, 1, HUGE - 1 },
		{ "spans the hole", 0, HIGH + HUGE, -1, 0 },
		{ "length wraps around", 4096, UINT64_MAX - 100, -1, 0 },
		{ "address and length wrap around to 0", UINT64_MAX, 2, -1, 0 },
		{ "last address of all", UINT64_MAX, 1, -1, 0 },
		{ "nothing, inside", 4096, 0, 0, 4096 },
		{ "nothing, at the end", 2 * HUGE, 0, 0, 2 * HUGE },
		{ "nothing, in the hole", HIGH - 4096, 0, -1, 0 },
	};
	struct mem m = two();

	cr_assert(eq(int, mem_map(&m, NULL), 0));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t *want = cases[i].region < 0
					? NULL
					: m.regions[cases[i].region].host + cases[i].off;

		cr_expect(eq(ptr, mem_at(&m, cases[i].gpa, cases[i].len), want), "%s",
			  cases[i].why);
	}
	mem_unmap(&m);
}

Test(mem, regions_are_zero_and_writable_and_aligned_to_huge_pages)
{
	/* More than one try: an unaligned mmap would be aligned by luck now and then. */
	for (int i = 0; i < 4; i++) {
		struct mem m = two();

		cr_assert(eq(int, mem_map(&m, NULL), 0));
		cr_expect(eq(u64, mem_size(&m), 3 * HUGE));
		for (unsigned int r = 0; r < m.nregions; r++) {
			uint8_t *host = m.regions[r].host;
			uint64_t size = m.regions[r].size;

			cr_expect(eq(u64, (uintptr_t)host % HUGE, 0));
			cr_expect(eq(int, host[0] | host[size - 1], 0));
			host[0] = host[size - 1] = 1;
		}
		mem_advise_huge(&m);
		mem_unmap(&m);
		cr_expect(eq(ptr, m.regions[0].host, NULL));
		mem_unmap(&m); /* the second time there is nothing to give back */
	}
}

Test(mem, impossible_regions_are_refused)
{
	static const struct {
		const char *why;
		struct mem mem;
		const char *text;
	} cases[] = {
		{ "none", { .nregions = 0 }, "guest memory has 0 regions, expected 1..4" },
		{ "too many", { .nregions = 5 }, "guest memory has 5 regions, expected 1..4" },
		{ "empty",
		  { .nregions = 1 },
		  "guest memory region 0 at 0x0, 0x0 bytes: expected 2 MiB steps in rising "
		  "order" },
		{ "size unaligned",
		  { .nregions = 1, .regions = { { 0, HUGE + 4096, NULL } } },
		  "guest memory region 0 at 0x0, 0x201000 bytes: expected 2 MiB steps in "
		  "rising "
		  "order" },
		{ "address unaligned",
		  { .nregions = 1, .regions = { { 4096, HUGE, NULL } } },
		  "guest memory region 0 at 0x1000, 0x200000 bytes: expected 2 MiB steps in "
		  "rising order" },
		{ "overlap",
		  { .nregions = 2, .regions = { { 0, 2 * HUGE, NULL }, { HUGE, HUGE, NULL } } },
		  "guest memory region 1 at 0x200000, 0x200000 bytes: expected 2 MiB steps in "
		  "rising order" },
		{ "unsorted",
		  { .nregions = 2, .regions = { { HIGH, HUGE, NULL }, { 0, HUGE, NULL } } },
		  "guest memory region 1 at 0x0, 0x200000 bytes: expected 2 MiB steps in "
		  "rising "
		  "order" },
		{ "end wraps around",
		  { .nregions = 1, .regions = { { -HUGE, 2 * HUGE, NULL } } },
		  "guest memory region 0 at 0xffffffffffe00000, 0x400000 bytes: expected 2 MiB "
		  "steps in rising order" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct mem m = cases[i].mem;
		struct err err = { 0 };

		cr_expect(eq(int, mem_map(&m, &err), -EINVAL), "%s", cases[i].why);
		cr_expect(eq(str, err.text, cases[i].text), "%s", cases[i].why);
		mem_unmap(&m); /* is safe after a failed map */
	}
}

Test(mem, what_the_host_cannot_map_is_given_back)
{
	struct mem m = { .nregions = 2,
			 .regions = { { .gpa = 0, .size = HUGE },
				      { .gpa = HUGE, .size = UINT64_C(1) << 60 } } };
	struct err err = { 0 };

	cr_expect(eq(int, mem_map(&m, &err), -ENOMEM));
	cr_expect(eq(int,
		     strncmp(err.text, "map 1152921504606846976 bytes of guest memory: ", 47),
		     0),
		  "%s", err.text);
	cr_expect(eq(ptr, m.regions[0].host, NULL));
}
