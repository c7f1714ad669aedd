/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/rtc.h"

#include <time.h>

#include "devices/board.h"
#include "engine/vm.h"

/* Ports, from BOARD_RTC_PORT on. */
enum { PORT_INDEX, PORT_DATA, PORT_COUNT };

/* Bit 7 of the index gates NMIs (IBM PC/AT Technical Reference): there are none. */
#define INDEX_MAX 0x7fu

/* Registers: MC146818A, address map. */
enum {
	REG_SECONDS = 0x00,
	REG_MINUTES = 0x02,
	REG_HOURS = 0x04,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_D = 0x0d,
	REG_CENTURY = 0x32, /* as every PC; FADT's CENTURY may name it */
};

#define A_IDLE	0x26u /* the clock runs at 32 kHz, and no update is in progress */
#define B_MODE	0x02u /* 24 hours, BCD */
#define D_VALID 0x80u /* the battery is good */

static const struct state_field rtc_fields[] = {
	STATE_FIELD_MAX(struct rtc_state, index, INDEX_MAX),
};

static uint8_t bcd(int n)
{
	return (uint8_t)(n / 10 << 4 | n % 10);
}

static uint8_t read_time(uint8_t reg, const struct tm *tm)
{
	switch (reg) {
	case REG_SECONDS:
		return bcd(tm->tm_sec);
	case REG_MINUTES:
		return bcd(tm->tm_min);
	case REG_HOURS:
		return bcd(tm->tm_hour);
	case REG_WEEKDAY:
		return bcd(tm->tm_wday + 1); /* Sunday is 1 */
	case REG_DAY:
		return bcd(tm->tm_mday);
	case REG_MONTH:
		return bcd(tm->tm_mon + 1);
	case REG_YEAR:
		return bcd(tm->tm_year % 100);
	case REG_CENTURY:
		return bcd((tm->tm_year + 1900) / 100 % 100);
	default: /* alarms, and memory that holds nothing */
		return 0;
	}
}

static uint8_t read_reg(const struct rtc *rtc)
{
	time_t now = (time_t)(rtc->now() / NSEC_PER_SEC);
	struct tm tm = { 0 };

	switch (rtc->s.index) {
	case REG_A:
		return A_IDLE;
	case REG_B:
		return B_MODE;
	case REG_D:
		return D_VALID;
	default:
		gmtime_r(&now, &tm);
		return read_time(rtc->s.index, &tm);
	}
}

static int rtc_access(void *dev, const struct bus_access *access)
{
	struct rtc *rtc = dev;

	if (access->len != 1)
		rtc->violations++;
	else if (access->off == PORT_DATA && access->is_write)
		rtc->ignored++;
	else if (access->off == PORT_DATA)
		*access->data = read_reg(rtc);
	else if (access->is_write)
		rtc->s.index = *access->data & INDEX_MAX;
	return 0; /* the index reads as ones: it is for writing */
}

static int rtc_init(struct device *dev, const void *config, struct err *err)
{
	struct rtc *rtc = container_of(dev, struct rtc, dev);
	const struct bus_range ports = {
		.base = BOARD_RTC_PORT, .size = PORT_COUNT, .handler = rtc_access, .dev = rtc
	};

	(void)config;
	rtc->now = clock_realtime;
	return bus_add(&dev->vm->pio, &ports, err);
}

static const struct device_counter counters[] = {
	{ "ignored", offsetof(struct rtc, ignored) },
	{ "violations", offsetof(struct rtc, violations) },
	{ 0 },
};

const struct device_type rtc_type = {
	.name = "rtc",
	.size = sizeof(struct rtc),
	.state_off = offsetof(struct rtc, s),
	.state = STATE_DESC("dev.rtc", 1, struct rtc_state, rtc_fields),
	.init = rtc_init,
	.counters = counters,
};
