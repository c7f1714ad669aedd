/* SPDX-License-Identifier: Apache-2.0 */
/* The event device, VMGenID and VMClock: how a guest learns what the host has to tell. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <inttypes.h>
#include <string.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "devices/generation.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/err.h"
#include "tests/helpers_board.h"

static const struct device_type *const types[] = { &ged_type, &vmgenid_type, &vmclock_type };
static struct board board;
static struct err err;

static void setup(void)
{
	board_make(&board, types, ARRAY_SIZE(types));
}

static void teardown(void)
{
	board_drop(&board);
}

TestSuite(ged, .init = setup, .fini = teardown);
TestSuite(generation, .init = setup, .fini = teardown);

static uint64_t read_register(uint32_t off, uint32_t len)
{
	return board_read(&board.vm.mmio, BOARD_GED_GPA + off, len);
}

static int write_register(uint32_t off, uint64_t value)
{
	return board_write(&board.vm.mmio, BOARD_GED_GPA + off, 1, value);
}

Test(ged, an_event_interrupts_and_is_read_once)
{
	ged_post(&board.vm, GED_POWER_BUTTON);
	cr_expect(eq(u32, board.pulses[BOARD_GED_GSI], 1));
	cr_expect(eq(int, board.lines[BOARD_GED_GSI], false));
	ged_post(&board.vm, GED_VMCLOCK);
	cr_expect(eq(u32, board.pulses[BOARD_GED_GSI], 2));
	cr_expect(eq(u64, read_register(GED_EVENTS, 4), GED_POWER_BUTTON | GED_VMCLOCK));
	cr_expect(eq(u64, read_register(GED_EVENTS, 4), 0));
}

Test(ged, sleep_five_is_power_off)
{
	struct ged *g = ged_of(&board.vm);

	cr_expect(eq(int, write_register(GED_SLEEP_STATUS, 0x80), 0));
	cr_expect(eq(int, write_register(GED_SLEEP_CONTROL, 5 << 2), 0)); /* not enabled */
	cr_expect(eq(u64, g->violations, 0));
	cr_expect(eq(int, write_register(GED_SLEEP_CONTROL, 1 << 5 | 3 << 2), 0));
	cr_expect(eq(u64, g->violations, 1));
	cr_expect(eq(int, board.vm.end, VM_GOES_ON));
	cr_expect(eq(int, write_register(GED_SLEEP_CONTROL, 1 << 5 | 5 << 2), BUS_STOP));
	cr_expect(eq(int, board.vm.end, VM_POWERED_OFF));
	cr_expect(eq(u64, read_register(GED_SLEEP_STATUS, 1), 0));
}

Test(ged, the_reset_register_resets)
{
	cr_expect(eq(int, write_register(GED_RESET, 2), 0));
	cr_expect(eq(int, board.vm.end, VM_GOES_ON));
	cr_expect(eq(int, write_register(GED_RESET, GED_RESET_VALUE), BUS_STOP));
	cr_expect(eq(int, board.vm.end, VM_RESET));
}

Test(ged, nonsense_is_counted_and_changes_nothing)
{
	struct ged *g = ged_of(&board.vm);

	ged_post(&board.vm, GED_VMGENID);
	cr_expect(eq(u64, read_register(GED_EVENTS, 1), 0xff));
	cr_expect(eq(u64, read_register(GED_EVENTS, 8), UINT64_MAX));
	cr_expect(eq(u64, read_register(100, 4), 0xffffffff));
	cr_expect(eq(int, board_write(&board.vm.mmio, BOARD_GED_GPA + GED_EVENTS, 4, 7), 0));
	cr_expect(eq(int, board_write(&board.vm.mmio, BOARD_GED_GPA + GED_RESET, 2, 1), 0));
	cr_expect(eq(u64, g->violations, 5));
	cr_expect(eq(u64, read_register(GED_EVENTS, 4), GED_VMGENID));
}

Test(ged, events_survive_a_freeze)
{
	struct ged *g = ged_of(&board.vm);
	struct ged_state frozen;

	ged_post(&board.vm, GED_POWER_BUTTON);
	cr_assert(eq(int, ged_type.save(&g->dev, &err), 0));
	frozen = g->s;
	read_register(GED_EVENTS, 4);
	g->s = frozen;
	cr_assert(eq(int, ged_type.load(&g->dev, &err), 0));
	cr_expect(eq(u64, read_register(GED_EVENTS, 4), GED_POWER_BUTTON));
	frozen.events = GED_ALL_EVENTS + 1;
	cr_expect(eq(int, state_load(&ged_type.state, &g->s, &frozen, sizeof(frozen), &err),
		     -ERANGE));
}

Test(ged, a_machine_without_one_is_left_alone)
{
	static struct board bare;

	board_make(&bare, NULL, 0);
	ged_post(&bare.vm, GED_POWER_BUTTON);
	cr_expect(eq(int, generation_renew(&bare.vm, (struct vcpu_tsc_now){ 0 }, 1, &err), 0));
	cr_expect(eq(u32, bare.pulses[BOARD_GED_GSI], 0));
	board_drop(&bare);
}

/* ---- VMGenID, VMClock ---- */

#define TSC_KHZ 2893202u

static struct vcpu_tsc_now tsc_at(uint64_t guest)
{
	return (struct vcpu_tsc_now){ .guest = guest, .host_ns = clock_monotonic() };
}

static struct vmclock_page *clock_page(void)
{
	return mem_at(&board.vm.mem, BOARD_VMCLOCK_GPA, MEM_PAGE_SIZE);
}

/* A reader of ours: the page as a guest takes it, under its sequence. */
static bool clock_copy(struct vmclock_page *copy)
{
	const volatile uint32_t *sequence = &clock_page()->sequence;
	uint32_t before = *sequence;

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	memcpy(copy, clock_page(), sizeof(*copy));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return before % 2 == 0 && *sequence == before;
}

/* UTC in ns when the TSC is @tsc. */
static uint64_t clock_time(const struct vmclock_page *p, uint64_t tsc)
{
	unsigned __int128 frac = (unsigned __int128)(tsc - p->counter_value) * p->period;

	frac = (frac >> p->period_shift) + p->time_frac;
	return (p->time_sec + (uint64_t)(frac >> 64)) * NSEC_PER_SEC +
	       (uint64_t)(((frac & UINT64_MAX) * NSEC_PER_SEC) >> 64);
}

Test(generation, the_first_one_tells_nobody)
{
	static const uint8_t none[VMGENID_SIZE];

	cr_assert(eq(int, generation_begin(&board.vm, tsc_at(1), TSC_KHZ, &err), 0), "%s",
		  err.text);
	cr_expect(ne(int,
		     memcmp(mem_at(&board.vm.mem, BOARD_VMGENID_GPA, VMGENID_SIZE), none,
			    VMGENID_SIZE),
		     0));
	cr_expect(eq(u32, clock_page()->magic, VMCLOCK_MAGIC));
	cr_expect(eq(u32, board.pulses[BOARD_GED_GSI], 0));
	cr_expect(eq(u64, read_register(GED_EVENTS, 4), 0));
}

Test(generation, each_restore_is_told_with_one_interrupt)
{
	struct vmclock_page before, after;
	uint8_t id[VMGENID_SIZE];

	cr_assert(eq(int, generation_begin(&board.vm, tsc_at(1), TSC_KHZ, &err), 0));
	for (uint32_t i = 1; i <= 3; i++) {
		memcpy(id, mem_at(&board.vm.mem, BOARD_VMGENID_GPA, sizeof(id)), sizeof(id));
		cr_assert(clock_copy(&before));
		cr_assert(eq(int, generation_renew(&board.vm, tsc_at(i), TSC_KHZ, &err), 0));
		cr_assert(clock_copy(&after));
		cr_expect(ne(int,
			     memcmp(mem_at(&board.vm.mem, BOARD_VMGENID_GPA, sizeof(id)), id,
				    sizeof(id)),
			     0));
		cr_expect(ne(u64, after.disruption, before.disruption));
		cr_expect(ne(u64, after.generation, before.generation));
		cr_expect(eq(u32, after.sequence, before.sequence + 2));
		cr_expect(eq(u32, board.pulses[BOARD_GED_GSI], i));
		cr_expect(eq(u64, read_register(GED_EVENTS, 4), GED_VMGENID | GED_VMCLOCK));
	}
}

Test(generation, the_clock_page_tells_utc)
{
	static const uint32_t rates[] = { 1000, 999999, 2000000, 2893202, 5200000 };

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t from = clock_realtime(), hour = rates[i] * 3600000ull, to;
		struct vmclock_page p;

		cr_assert(
			eq(int, generation_renew(&board.vm, tsc_at(hour), rates[i], &err), 0));
		to = clock_realtime();
		cr_assert(clock_copy(&p));
		/* One nanosecond for what is cut off. */
		cr_expect(ge(u64, clock_time(&p, hour), from - 1), "%u kHz", rates[i]);
		cr_expect(le(u64, clock_time(&p, hour), to), "%u kHz", rates[i]);
		/* An hour later it is an hour later. */
		cr_expect(le(u64,
			     clock_time(&p, hour) + 3600 * NSEC_PER_SEC -
				     clock_time(&p, 2 * hour),
			     2),
			  "%u kHz", rates[i]);
		cr_expect(eq(u64, p.flags, VMCLOCK_HAS_GENERATION | VMCLOCK_HAS_NOTIFICATION));
	}
}

/* Whatever the guest left in the page, a reader gets a whole one afterwards. */
Test(generation, a_guest_may_scribble_over_the_pages)
{
	static const uint32_t left[] = { 1, 2, UINT32_MAX - 1, UINT32_MAX };

	for (size_t i = 0; i < ARRAY_SIZE(left); i++) {
		struct vmclock_page p;

		memset(clock_page(), 0xff, MEM_PAGE_SIZE);
		clock_page()->sequence = left[i];
		cr_assert(eq(int, generation_renew(&board.vm, tsc_at(5), TSC_KHZ, &err), 0));
		cr_assert(clock_copy(&p));
		cr_expect(ne(u32, p.sequence, left[i]));
		cr_expect(eq(u32, p.magic, VMCLOCK_MAGIC));
	}
}

Test(generation, an_image_whose_pages_are_elsewhere_is_refused)
{
	struct vmgenid *g =
		container_of(vm_device(&board.vm, &vmgenid_type), struct vmgenid, dev);
	struct vmclock *c =
		container_of(vm_device(&board.vm, &vmclock_type), struct vmclock, dev);

	cr_expect(eq(int, vmgenid_type.load(&g->dev, &err), 0));
	g->s.gpa += MEM_PAGE_SIZE;
	cr_expect(eq(int, vmgenid_type.load(&g->dev, &err), -EINVAL));
	cr_expect(eq(str, err.text, "it is at 0xff000, expected 0xfe000"));
	cr_expect(eq(int, vmclock_type.load(&c->dev, &err), 0));
	c->s.gpa = 0;
	cr_expect(eq(int, vmclock_type.load(&c->dev, &err), -EINVAL));
	cr_expect(eq(str, err.text, "it is at 0x0, expected 0xff000"));
}
