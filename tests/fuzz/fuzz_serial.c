/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_serial - a serial port whose state comes from an enemy's image, and whose guest is the enemy:
 * accesses of every width at every register, while input comes.
 */
#include <assert.h>
#include <string.h>

#include "devices/board.h"
#include "devices/serial.h"
#include "engine/err.h"
#include "engine/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
	bool line;
	size_t out;
} seen;

static void on_irq(void *dev, uint32_t gsi, bool level)
{
	(void)dev;
	assert(gsi == BOARD_SERIAL_GSI && level != seen.line);
	seen.line = level;
}

static void on_out(void *arg, const void *data, size_t len)
{
	uint8_t copy[SERIAL_LINE];

	(void)arg;
	assert(len > 0 && len <= sizeof(copy));
	memcpy(copy, data, len); /* all of it can be read */
	seen.out += len;
}

/* What state_load would refuse must never come about otherwise. */
static void check(struct serial *port)
{
	_Alignas(8) struct serial_state copy = port->s;
	struct serial_state into;

	assert(state_load(&serial_type.state, &into, &copy, sizeof(copy), NULL) == 0);
	assert(port->nout < SERIAL_LINE);
	assert(seen.out + port->nout <= port->sent);
}

static void load(struct serial *port, const uint8_t *data)
{
	_Alignas(8) uint8_t section[sizeof(struct serial_state)];

	memcpy(section, data, sizeof(section));
	if (state_load(&serial_type.state, &port->s, section, sizeof(section), NULL) < 0)
		return;
	assert(serial_type.load(&port->dev, NULL) == 0);
}

/* Two bytes: where, how wide, whether it writes, or how much input; and what. */
static void step(struct vm *vm, struct serial *port, uint8_t what, uint8_t value)
{
	uint8_t data[8];

	memset(data, value, sizeof(data));
	if (what >= 0xf0)
		assert(serial_input(port, data, what & 7) <= (what & 7u));
	else
		assert(bus_access(&vm->pio, BOARD_SERIAL_PORT + (what & 7), data,
				  what & 0x20 ? 1u << (what >> 6) : 1, what & 8) == 0);
	check(port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct device_spec spec = { &serial_type, NULL };
	struct vm vm = { .pio.name = "pio", .irq_chip.set = on_irq };
	struct serial *port;

	if (len < sizeof(struct serial_state))
		return 0;
	memset(&seen, 0, sizeof(seen));
	worker_init(&vm.worker);
	vm.devices[vm.ndevices++] = device_create(&spec, &vm, NULL);
	port = serial_of(&vm);
	port->ops.out = on_out;
	load(port, data);
	for (size_t i = sizeof(struct serial_state); i + 1 < len; i += 2)
		step(&vm, port, data[i], data[i + 1]);
	assert(vm_drain(&vm, NULL) == 0 && port->nout == 0);
	device_destroy(vm.devices[0]);
	return 0;
}
