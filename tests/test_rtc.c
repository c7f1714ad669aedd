/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "devices/board.h"
#include "devices/rtc.h"
#include "engine/err.h"
#include "engine/vm.h"

static struct vm vm = { .pio.name = "pio" };
static nsec_t now;

static nsec_t told(void)
{
	return now;
}

static struct rtc *make(void)
{
	const struct device_spec spec = { &rtc_type, NULL };
	struct device *dev = device_create(&spec, &vm, NULL);

	cr_assert(dev != NULL);
	return (struct rtc *)(void *)dev;
}

static void put(uint32_t port, uint8_t value)
{
	cr_assert(eq(int, bus_access(&vm.pio, port, &value, 1, true), 0));
}

static uint8_t reg(uint8_t index)
{
	uint8_t value;

	put(BOARD_RTC_PORT, index);
	cr_assert(eq(int, bus_access(&vm.pio, BOARD_RTC_PORT + 1, &value, 1, false), 0));
	return value;
}

Test(rtc, tells_the_time_of_the_host_in_bcd)
{
	static const struct {
		nsec_t seconds;
		uint8_t century, year, month, day, weekday, hours, minutes, seconds_bcd;
	} cases[] = {
		{ 0, 0x19, 0x70, 0x01, 0x01, 5, 0x00, 0x00, 0x00 },
		{ 951827696, 0x20, 0x00, 0x02, 0x29, 3, 0x12, 0x34, 0x56 },
		{ 4102444799, 0x20, 0x99, 0x12, 0x31, 5, 0x23, 0x59, 0x59 },
	};
	struct rtc *rtc = make();

	rtc->now = told;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		now = cases[i].seconds * NSEC_PER_SEC + NSEC_PER_SEC - 1;
		cr_expect(eq(u8, reg(0x32), cases[i].century));
		cr_expect(eq(u8, reg(0x09), cases[i].year));
		cr_expect(eq(u8, reg(0x08), cases[i].month));
		cr_expect(eq(u8, reg(0x07), cases[i].day));
		cr_expect(eq(u8, reg(0x06), cases[i].weekday));
		cr_expect(eq(u8, reg(0x04), cases[i].hours));
		cr_expect(eq(u8, reg(0x02), cases[i].minutes));
		cr_expect(eq(u8, reg(0x00), cases[i].seconds_bcd));
	}
	device_destroy(&rtc->dev);
}

Test(rtc, nobody_waits_for_it)
{
	struct rtc *rtc = make();

	cr_expect(eq(u8, reg(0x0a) & 0x80, 0));	   /* no update in progress */
	cr_expect(eq(u8, reg(0x0b) & 0x06, 0x02)); /* 24 hours, BCD */
	cr_expect(eq(u8, reg(0x0c), 0));
	cr_expect(eq(u8, reg(0x0d), 0x80)); /* Linux takes another bit for no clock at all */
	cr_expect(eq(u8, reg(0x8d), 0x80)); /* NMIs off */
	cr_expect(eq(u8, reg(0x0f), 0));
	cr_expect(eq(u8, reg(0x7f), 0));
	cr_expect(ne(u8, reg(0x08), 0));
	device_destroy(&rtc->dev);
}

Test(rtc, cannot_be_set)
{
	struct rtc *rtc = make();
	uint16_t wide = 0x1234;

	rtc->now = told;
	for (unsigned int i = 0; i < 0x80; i++) {
		uint8_t before = reg((uint8_t)i);

		put(BOARD_RTC_PORT + 1, 0x77);
		cr_expect(eq(u8, reg((uint8_t)i), before));
	}
	cr_expect(eq(u64, rtc->ignored, 0x80));
	cr_expect(eq(int, bus_access(&vm.pio, BOARD_RTC_PORT, &wide, 2, true), 0));
	cr_expect(eq(u64, rtc->violations, 1));
	cr_expect(eq(u8, rtc->s.index, 0x7f));
	device_destroy(&rtc->dev);
}
