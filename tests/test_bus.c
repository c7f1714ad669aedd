/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "engine/bus.h"
#include "engine/err.h"

/* A device that remembers the last access and answers reads with its own number. */
struct probe {
	uint8_t number;
	int answer, calls;
	struct bus_access last;
};

static int probe_access(void *dev, const struct bus_access *access)
{
	struct probe *p = dev;

	p->calls++;
	p->last = *access;
	if (!access->is_write)
		access->data[0] = p->number;
	return p->answer;
}

static int add(struct bus *bus, uint64_t base, uint64_t size, struct probe *p, struct err *err)
{
	struct bus_range r = { .base = base, .size = size, .handler = probe_access, .dev = p };

	return bus_add(bus, &r, err);
}

Test(bus, ranges_are_found_in_whatever_order_they_were_added)
{
	static const uint64_t bases[] = { 0x5000, 0x1000, 0x9000, 0x3000, 0x7000 };
	struct probe probes[5] = { 0 };
	struct bus bus = { .name = "mmio" };
	uint64_t value;

	for (int i = 0; i < 5; i++) {
		probes[i].number = (uint8_t)(i + 1);
		cr_assert(eq(int, add(&bus, bases[i], 0x1000, &probes[i], NULL), 0));
	}
	for (unsigned int i = 1; i < bus.nranges; i++)
		cr_expect(lt(u64, bus.ranges[i - 1].base, bus.ranges[i].base));
	for (int i = 0; i < 5; i++) {
		value = 0;
		cr_expect(eq(int, bus_access(&bus, bases[i] + 0xfff, &value, 1, false), 0));
		cr_expect(eq(u64, value, (uint64_t)i + 1));
		cr_expect(eq(u64, probes[i].last.off, 0xfff));
		cr_expect(eq(int, probes[i].calls, 1));
	}
	cr_expect(eq(u64, bus.misses, 0));
}

Test(bus, impossible_ranges_are_refused)
{
	static const struct {
		const char *why;
		uint64_t base, size;
		int ret;
		const char *text;
	} cases[] = {
		{ "empty", 0x9000, 0, -EINVAL, "mmio range at 0x9000 has impossible size 0x0" },
		{ "wraps around", UINT64_MAX - 1, 3, -EINVAL,
		  "mmio range at 0xfffffffffffffffe has impossible size 0x3" },
		{ "the same again", 0x2000, 0x1000, -EEXIST,
		  "mmio range at 0x2000 overlaps 0x2000" },
		{ "first byte", 0x1000, 0x1001, -EEXIST,
		  "mmio range at 0x1000 overlaps 0x2000" },
		{ "last byte", 0x2fff, 1, -EEXIST, "mmio range at 0x2fff overlaps 0x2000" },
		{ "around", 0x1000, 0x4000, -EEXIST, "mmio range at 0x1000 overlaps 0x2000" },
		{ "inside", 0x2800, 4, -EEXIST, "mmio range at 0x2800 overlaps 0x2000" },
	};
	struct bus bus = { .name = "mmio" };
	struct probe p = { 0 };

	cr_assert(eq(int, add(&bus, 0x2000, 0x1000, &p, NULL), 0));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct err err = { 0 };

		cr_expect(eq(int, add(&bus, cases[i].base, cases[i].size, &p, &err),
			     cases[i].ret),
			  "%s", cases[i].why);
		cr_expect(eq(str, err.text, cases[i].text), "%s", cases[i].why);
	}
	cr_expect(eq(u32, bus.nranges, 1));
	/* Neighbours on both sides, and the very last byte, are fine. */
	cr_expect(eq(int, add(&bus, 0x1fff, 1, &p, NULL), 0));
	cr_expect(eq(int, add(&bus, 0x3000, 1, &p, NULL), 0));
	cr_expect(eq(int, add(&bus, UINT64_MAX, 1, &p, NULL), 0));
}

Test(bus, a_full_bus_says_so)
{
	struct bus bus = { .name = "pio" };
	struct probe p = { .number = 1 };
	struct err err = { 0 };
	uint8_t value = 0;

	for (uint64_t i = 0; i < BUS_MAX_RANGES; i++)
		cr_assert(eq(int, add(&bus, i * 16, 8, &p, NULL), 0));
	cr_expect(eq(int, add(&bus, 0x8000, 8, &p, &err), -ENOSPC));
	cr_expect(eq(str, err.text, "pio bus is full: 32 ranges"));
	/* Beyond the last range of a full bus there is nothing to look at. */
	cr_expect(eq(int, bus_access(&bus, 0x8000, &value, 1, false), 0));
	cr_expect(eq(u8, value, 0xff));
}

Test(bus, what_no_device_answers_reads_as_ones_and_is_counted)
{
	static const struct {
		const char *why;
		uint64_t addr;
		uint32_t len;
	} cases[] = {
		{ "before", 0x1fff, 1 },
		{ "after", 0x3000, 1 },
		{ "straddles the end", 0x2ffc, 8 },
		{ "straddles the start", 0x1ffe, 4 },
		{ "between", 0x3800, 2 },
		{ "the last address", UINT64_MAX, 1 },
	};
	struct bus bus = { .name = "mmio" };
	struct probe p = { 0 };

	cr_assert(eq(int, add(&bus, 0x2000, 0x1000, &p, NULL), 0));
	cr_assert(eq(int, add(&bus, 0x4000, 0x1000, &p, NULL), 0));
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t data[16], want[16];

		memset(data, 0x55, sizeof(data));
		memset(want, 0x55, sizeof(want));
		memset(want, 0xff, cases[i].len);
		cr_expect(
			eq(int, bus_access(&bus, cases[i].addr, data, cases[i].len, false), 0),
			"%s", cases[i].why);
		cr_expect(eq(int, memcmp(data, want, sizeof(data)), 0), "%s", cases[i].why);
		/* A write goes nowhere and leaves the data alone. */
		memset(data, 0x55, sizeof(data));
		cr_expect(eq(int, bus_access(&bus, cases[i].addr, data, cases[i].len, true), 0),
			  "%s", cases[i].why);
		cr_expect(eq(u8, data[0], 0x55), "%s", cases[i].why);
	}
	cr_expect(eq(u64, bus.misses, 2 * ARRAY_SIZE(cases)));
	cr_expect(eq(int, p.calls, 0));
}

Test(bus, an_access_reaches_its_device_as_it_is_and_the_answer_comes_back)
{
	struct bus bus = { .name = "mmio" };
	struct probe p = { .answer = BUS_STOP };
	uint32_t value = 0x12345678;

	cr_assert(eq(int, add(&bus, 0x2000, 0x1000, &p, NULL), 0));
	cr_expect(eq(int, bus_access(&bus, 0x2ffc, &value, 4, true), BUS_STOP));
	cr_expect(eq(u64, p.last.off, 0xffc));
	cr_expect(eq(u32, p.last.len, 4));
	cr_expect(eq(int, p.last.is_write, 1));
	cr_expect(eq(ptr, p.last.data, &value));
	cr_expect(eq(u32, value, 0x12345678));
	p.answer = -EIO;
	cr_expect(eq(int, bus_access(&bus, 0x2000, &value, 4, false), -EIO));
	/* The device fills one byte; the others are what a floating bus reads. */
	cr_expect(eq(u32, value, 0xffffff00));
}
