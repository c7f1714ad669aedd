/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/ged.h"

#include <errno.h>
#include <string.h>

#include "devices/board.h"
#include "engine/err.h"
#include "engine/vm.h"

/* ACPI 6.3, table 4.20. */
#define SLEEP_ENABLE	  (1u << 5)
#define SLEEP_TYPE(value) ((value) >> 2 & 7u)

static const struct state_field ged_fields[] = {
	STATE_FIELD_MAX(struct ged_state, events, GED_ALL_EVENTS),
};

static int end(struct ged *g, enum vm_end why)
{
	g->dev.vm->end = why;
	return BUS_STOP;
}

static int violation(struct ged *g)
{
	g->violations++;
	return 0;
}

static int write_register(struct ged *g, uint64_t off, uint8_t value)
{
	switch (off) {
	case GED_SLEEP_CONTROL:
		if (!(value & SLEEP_ENABLE))
			return 0;
		return SLEEP_TYPE(value) == GED_SLEEP_S5 ? end(g, VM_POWERED_OFF)
							 : violation(g);
	case GED_SLEEP_STATUS:
		return 0; /* clears what is not set */
	case GED_RESET:
		return value == GED_RESET_VALUE ? end(g, VM_RESET) : violation(g);
	default:
		return violation(g);
	}
}

static int access_registers(void *dev, const struct bus_access *access)
{
	struct ged *g = dev;

	if (access->off == GED_EVENTS && access->len == 4 && !access->is_write) {
		uint32_t events = __atomic_exchange_n(&g->events, 0, __ATOMIC_SEQ_CST);

		memcpy(access->data, &events, sizeof(events));
		return 0;
	}
	if (access->len != 1 || access->off < GED_SLEEP_CONTROL || access->off > GED_RESET)
		return violation(g);
	if (access->is_write)
		return write_register(g, access->off, access->data[0]);
	access->data[0] = 0;
	return 0;
}

static int ged_init(struct device *dev, const void *config, struct err *err)
{
	const struct bus_range regs = { .base = BOARD_GED_GPA,
					.size = GED_SIZE,
					.handler = access_registers,
					.dev = container_of(dev, struct ged, dev) };

	(void)config;
	return bus_add(&dev->vm->mmio, &regs, err);
}

static int ged_save(struct device *dev, struct err *err)
{
	struct ged *g = container_of(dev, struct ged, dev);

	(void)err;
	g->s.events = __atomic_load_n(&g->events, __ATOMIC_SEQ_CST);
	return 0;
}

static int ged_load(struct device *dev, struct err *err)
{
	struct ged *g = container_of(dev, struct ged, dev);

	(void)err;
	__atomic_store_n(&g->events, g->s.events, __ATOMIC_SEQ_CST);
	return 0;
}

static const struct device_counter counters[] = {
	{ "raised", offsetof(struct ged, raised) },
	{ "violations", offsetof(struct ged, violations) },
	{ 0 },
};

const struct device_type ged_type = {
	.name = "ged",
	.size = sizeof(struct ged),
	.state_off = offsetof(struct ged, s),
	.state = STATE_DESC("dev.ged", 1, struct ged_state, ged_fields),
	.init = ged_init,
	.save = ged_save,
	.load = ged_load,
	.counters = counters,
};

struct ged *ged_of(const struct vm *vm)
{
	struct device *dev = vm_device(vm, &ged_type);

	return dev ? container_of(dev, struct ged, dev) : NULL;
}

void ged_post(const struct vm *vm, uint32_t events)
{
	struct ged *g = ged_of(vm);

	if (!g)
		return;
	__atomic_fetch_or(&g->events, events, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&g->raised, 1, __ATOMIC_RELAXED);
	/* Also when others wait to be read: an edge at a pin that is masked is lost. */
	irq_pulse(vm, BOARD_GED_GSI);
}
