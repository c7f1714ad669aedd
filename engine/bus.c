/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/bus.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "engine/err.h"

/* Index of the first range whose end lies beyond @addr. */
static unsigned int first_beyond(const struct bus *bus, uint64_t addr)
{
	unsigned int low = 0, high = bus->nranges;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (addr - bus->ranges[mid].base < bus->ranges[mid].size ||
		    addr < bus->ranges[mid].base)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

int bus_add(struct bus *bus, const struct bus_range *range, struct err *err)
{
	uint64_t last = range->base + range->size - 1;
	unsigned int at;

	if (range->size == 0 || last < range->base)
		return err_set(err, EINVAL,
			       "%s range at 0x%" PRIx64 " has impossible size 0x%" PRIx64,
			       bus->name, range->base, range->size);
	if (bus->nranges == BUS_MAX_RANGES)
		return err_set(err, ENOSPC, "%s bus is full: %u ranges", bus->name,
			       BUS_MAX_RANGES);
	at = first_beyond(bus, range->base);
	if (at < bus->nranges && bus->ranges[at].base <= last)
		return err_set(err, EEXIST, "%s range at 0x%" PRIx64 " overlaps 0x%" PRIx64,
			       bus->name, range->base, bus->ranges[at].base);
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->nranges - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = *range;
	bus->nranges++;
	return 0;
}

int bus_access(struct bus *bus, uint64_t addr, void *data, uint32_t len, bool is_write)
{
	unsigned int at = first_beyond(bus, addr);
	const struct bus_range *r = &bus->ranges[at];
	struct bus_access access = { .len = len, .is_write = is_write, .data = data };

	if (!is_write)
		memset(data, 0xff, len); /* what a floating bus reads */
	if (at == bus->nranges || addr < r->base || len > r->size - (addr - r->base)) {
		bus->misses++;
		return 0;
	}
	access.off = addr - r->base;
	return r->handler(r->dev, &access);
}
