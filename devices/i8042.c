/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/i8042.h"

#include "devices/board.h"
#include "engine/vm.h"

/* Commands: IBM PC/AT Technical Reference, "Keyboard Controller". */
#define WRITE_OUTPUT 0xd1u /* the next byte of data becomes the output port */
#define PULSE	     0xf0u /* pulse the output lines whose bits in the low half are 0 */
#define PULSE_MASK   0xf0u

#define LINE_RESET 0x01u /* output line 0: low resets the processor */

static const struct state_field i8042_fields[] = {
	STATE_FIELD(struct i8042_state, command),
};

/* Either port when it is read, or accessed otherwise than by a byte. True: that was all. */
static bool is_idle(struct i8042 *kbc, const struct bus_access *access)
{
	if (access->len != 1)
		kbc->violations++;
	else if (!access->is_write)
		*access->data = 0;
	return access->len != 1 || !access->is_write;
}

static int reset(struct i8042 *kbc)
{
	kbc->dev.vm->end = VM_RESET;
	return BUS_STOP;
}

static int command_port(void *dev, const struct bus_access *access)
{
	struct i8042 *kbc = dev;

	if (is_idle(kbc, access))
		return 0;
	kbc->s.command = *access->data;
	if ((kbc->s.command & PULSE_MASK) == PULSE && !(kbc->s.command & LINE_RESET))
		return reset(kbc);
	return 0;
}

static int data_port(void *dev, const struct bus_access *access)
{
	struct i8042 *kbc = dev;
	bool is_output;

	if (is_idle(kbc, access))
		return 0;
	is_output = kbc->s.command == WRITE_OUTPUT;
	kbc->s.command = 0; /* it has had its byte */
	return is_output && !(*access->data & LINE_RESET) ? reset(kbc) : 0;
}

static int i8042_init(struct device *dev, const void *config, struct err *err)
{
	struct i8042 *kbc = container_of(dev, struct i8042, dev);
	const struct bus_range ports[] = {
		{ .base = BOARD_I8042_DATA, .size = 1, .handler = data_port, .dev = kbc },
		{ .base = BOARD_I8042_CMD, .size = 1, .handler = command_port, .dev = kbc },
	};
	int ret = 0;

	(void)config;
	for (size_t i = 0; i < ARRAY_SIZE(ports) && ret == 0; i++)
		ret = bus_add(&dev->vm->pio, &ports[i], err);
	return ret;
}

static const struct device_counter counters[] = {
	{ "violations", offsetof(struct i8042, violations) },
	{ 0 },
};

const struct device_type i8042_type = {
	.name = "i8042",
	.size = sizeof(struct i8042),
	.state_off = offsetof(struct i8042, s),
	.state = STATE_DESC("dev.i8042", 1, struct i8042_state, i8042_fields),
	.init = i8042_init,
	.counters = counters,
};
