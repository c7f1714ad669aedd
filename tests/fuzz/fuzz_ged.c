/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ged - a guest that accesses the event device's registers as it likes, while the host posts
 * events and freezes it. Each input byte pair is one access: where and how, and a value.
 */
#include <assert.h>
#include <string.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "engine/err.h"
#include "tests/helpers_board.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct device_type *const types[] = { &ged_type };

/* What is frozen is always what may be loaded, and loading it changes nothing. */
static void freeze_and_thaw(struct ged *g)
{
	uint32_t events = g->events;
	struct ged_state frozen;

	assert(ged_type.save(&g->dev, NULL) == 0);
	frozen = g->s;
	assert(state_load(&ged_type.state, &g->s, &frozen, sizeof(frozen), NULL) == 0);
	assert(ged_type.load(&g->dev, NULL) == 0 && g->events == events);
}

/* Only the two registers that are for it stop the machine. */
static void write_one(struct board *b, uint32_t off, uint32_t size, uint8_t value)
{
	int ret = board_write(&b->vm.mmio, BOARD_GED_GPA + off, size, value * 0x0101010101ull);

	assert(ret == 0 || ret == BUS_STOP);
	assert((ret == BUS_STOP) == (b->vm.end != VM_GOES_ON));
	if (ret == BUS_STOP)
		assert(size == 1 && (off == GED_SLEEP_CONTROL || off == GED_RESET));
	b->vm.end = VM_GOES_ON;
}

static void read_one(struct board *b, const struct ged *g, uint32_t off, uint32_t size)
{
	uint32_t events = g->events;
	uint64_t got = board_read(&b->vm.mmio, BOARD_GED_GPA + off, size);

	if (off == GED_EVENTS && size == 4)
		assert(got == events && g->events == 0);
	else
		assert(g->events == events);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct board b;
	struct ged *g;

	board_make(&b, types, ARRAY_SIZE(types));
	g = ged_of(&b.vm);
	for (; len >= 2; len -= 2, data += 2) {
		uint32_t off = data[0] & 0xf, size = 1u << (data[0] >> 4 & 3);

		switch (data[0] >> 6) {
		case 0:
			read_one(&b, g, off, size);
			break;
		case 1:
			write_one(&b, off, size, data[1]);
			break;
		case 2:
			ged_post(&b.vm, data[1] & GED_ALL_EVENTS);
			break;
		default:
			freeze_and_thaw(g);
		}
	}
	board_drop(&b);
	return 0;
}
