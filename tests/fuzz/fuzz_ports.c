/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ports - the small devices behind ports, keyboard controller and clock, with an enemy's state,
 * and an enemy for a guest.
 */
#include <assert.h>
#include <string.h>

#include "devices/board.h"
#include "devices/i8042.h"
#include "devices/rtc.h"
#include "engine/err.h"
#include "engine/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static nsec_t now;

static nsec_t told(void)
{
	return now;
}

static int load(struct device *dev, uint8_t byte)
{
	_Alignas(8) const uint8_t section[8] = { byte };

	if (state_load(&dev->type->state, device_state(dev), section, 1, NULL) < 0)
		return 0;
	return dev->type->load ? dev->type->load(dev, NULL) : 0;
}

/* What it reads is a number of two digits, or one of the registers that tell how it runs. */
static void check_time(uint8_t index, uint8_t value)
{
	assert(index == 0x0a || index == 0x0d || ((value & 0x0f) < 10 && (value >> 4) < 10));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint32_t ports[] = { BOARD_I8042_DATA, BOARD_I8042_CMD, BOARD_RTC_PORT,
					  BOARD_RTC_PORT + 1 };
	const struct device_spec specs[] = { { &i8042_type, NULL }, { &rtc_type, NULL } };
	struct vm vm = { .pio.name = "pio" };
	struct rtc *rtc;

	if (len < 10)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		vm.devices[vm.ndevices++] = device_create(&specs[i], &vm, NULL);
		assert(load(vm.devices[i], data[i]) == 0);
	}
	rtc = container_of(vm_device(&vm, &rtc_type), struct rtc, dev);
	rtc->now = told;
	memcpy(&now, data + 2, sizeof(now));
	for (size_t i = 10; i + 1 < len; i += 2) {
		uint8_t bytes[8] = { data[i + 1], 0xff };
		uint32_t width = data[i] & 0x10 ? 1u << (data[i] >> 5 & 3) : 1;
		bool is_write = data[i] & 8;
		uint32_t port = ports[data[i] & 3];
		int ret = bus_access(&vm.pio, port, bytes, width, is_write);

		assert(ret == 0 || (ret == BUS_STOP && vm.end == VM_RESET && is_write));
		if (port == BOARD_RTC_PORT + 1 && !is_write && width == 1)
			check_time(rtc->s.index, bytes[0]);
	}
	while (vm.ndevices > 0)
		device_destroy(vm.devices[--vm.ndevices]);
	return 0;
}
