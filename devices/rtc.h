/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.h - the clock of a PC (Motorola MC146818A): the host's UTC, to be read. It cannot be set, has
 * no alarm, no interrupt and no memory. So a clone that asks for the time gets the right one,
 * however long it was frozen.
 * All accesses come on the vCPU's thread.
 */
#pragma once

#include <stdint.h>

#include "engine/clock.h"
#include "engine/device.h"

/* Everything that survives a freeze. */
struct rtc_state {
	uint8_t index; /* register that the data port shows */
};

struct rtc {
	struct device dev;
	struct rtc_state s;
	nsec_t (*now)(void);	      /* clock_realtime() */
	uint64_t ignored, violations; /* counters: writes of data, accesses refused */
};

extern const struct device_type rtc_type;
