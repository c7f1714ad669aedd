/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/helpers_board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/err.h"

static void die(const struct err *err)
{
	fprintf(stderr, "board: %s\n", err->text);
	abort();
}

static void set_line(void *dev, uint32_t gsi, bool level)
{
	struct board *b = dev;

	b->pulses[gsi] += level && !b->lines[gsi];
	b->lines[gsi] = level;
}

void board_make(struct board *b, const struct device_type *const *types, uint32_t n)
{
	struct err err;

	memset(b, 0, sizeof(*b));
	b->vm.fd = -1;
	b->vm.mmio.name = "mmio";
	b->vm.pio.name = "pio";
	b->vm.mem.nregions = 1;
	b->vm.mem.regions[0].size = MEM_HUGE_SIZE;
	b->vm.irq_chip.set = set_line;
	b->vm.irq_chip.dev = b;
	worker_init(&b->vm.worker);
	if (mem_map(&b->vm.mem, &err) < 0)
		die(&err);
	for (uint32_t i = 0; i < n; i++) {
		struct device_spec spec = { .type = types[i] };
		struct device *dev = device_create(&spec, &b->vm, &err);

		if (!dev)
			die(&err);
		b->vm.devices[b->vm.ndevices++] = dev;
	}
}

void board_drop(struct board *b)
{
	worker_stop(&b->vm.worker);
	while (b->vm.ndevices > 0)
		device_destroy(b->vm.devices[--b->vm.ndevices]);
	mem_unmap(&b->vm.mem);
}

uint64_t board_read(struct bus *bus, uint64_t addr, uint32_t len)
{
	uint64_t value = 0;

	bus_access(bus, addr, &value, len, false);
	return value;
}

int board_write(struct bus *bus, uint64_t addr, uint32_t len, uint64_t value)
{
	return bus_access(bus, addr, &value, len, true);
}
