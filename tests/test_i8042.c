/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "devices/board.h"
#include "devices/i8042.h"
#include "engine/err.h"
#include "engine/vm.h"

#define DATA BOARD_I8042_DATA
#define CMD  BOARD_I8042_CMD

static struct vm vm = { .pio.name = "pio" };

static struct i8042 *make(void)
{
	const struct device_spec spec = { &i8042_type, NULL };

	vm.devices[0] = device_create(&spec, &vm, NULL);
	cr_assert(vm.devices[0] != NULL);
	vm.ndevices = 1;
	return container_of(vm.devices[0], struct i8042, dev);
}

static int put(uint32_t port, uint8_t value)
{
	return bus_access(&vm.pio, port, &value, 1, true);
}

Test(i8042, is_always_ready_and_has_nothing_to_say)
{
	const uint32_t ports[] = { DATA, CMD };

	make();
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		uint8_t value = 0x55;

		cr_expect(eq(int, bus_access(&vm.pio, ports[i], &value, 1, false), 0));
		cr_expect(eq(u8, value, 0));
	}
	device_destroy(vm.devices[0]);
}

Test(i8042, stops_the_vcpu_when_line_0_goes_low_and_only_then)
{
	static const struct {
		const char *why;
		bool has_data;
		uint8_t command, data;
		bool stops;
	} cases[] = {
		{ "Linux's reboot=k", false, 0xfe, 0, true },
		{ "line 0 among others", false, 0xf0, 0, true },
		{ "other lines", false, 0xf1, 0, false },
		{ "no line", false, 0xff, 0, false },
		{ "not a pulse", false, 0xee, 0, false },
		{ "self-test", false, 0xaa, 0, false },
		{ "line 0 by the output port", true, 0xd1, 0xfe, true },
		{ "A20 by the output port", true, 0xd1, 0xdf, false },
		{ "data of another command", true, 0x60, 0x00, false },
	};
	struct i8042 *kbc = make();

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int ret = put(CMD, cases[i].command);

		if (cases[i].has_data) {
			cr_expect(eq(int, ret, 0), "%s", cases[i].why);
			ret = put(DATA, cases[i].data);
		}
		cr_expect(eq(int, ret, cases[i].stops ? BUS_STOP : 0), "%s", cases[i].why);
		cr_expect(eq(int, vm.end, cases[i].stops ? VM_RESET : VM_GOES_ON), "%s",
			  cases[i].why);
		vm.end = VM_GOES_ON;
	}
	device_destroy(&kbc->dev);
}

Test(i8042, a_command_takes_one_byte)
{
	struct i8042 *kbc = make();

	cr_expect(eq(int, put(DATA, 0), 0));
	cr_expect(eq(int, put(CMD, 0xd1), 0));
	cr_expect(eq(int, put(DATA, 1), 0));
	cr_expect(eq(int, put(DATA, 0), 0));
	cr_expect(eq(int, vm.end, VM_GOES_ON));
	device_destroy(&kbc->dev);
}

Test(i8042, accesses_that_are_not_a_byte_wide_are_refused)
{
	struct i8042 *kbc = make();
	uint16_t value = 0xfefe;

	cr_expect(eq(int, bus_access(&vm.pio, CMD, &value, 2, true), 0));
	cr_expect(eq(int, bus_access(&vm.pio, DATA, &value, 2, false), 0));
	cr_expect(eq(u16, value, 0xffff));
	cr_expect(eq(int, vm.end, VM_GOES_ON));
	device_destroy(&kbc->dev);
}
