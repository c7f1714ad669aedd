/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8042.h - the keyboard controller of a PC (IBM PC/AT Technical Reference), without a keyboard: it
 * is there because its output line 0 is how a guest resets its processor, which ends the machine.
 * Linux does that with reboot=k. Status and data read 0: nothing to fetch, ready for a command.
 * All accesses come on the vCPU's thread.
 */
#pragma once

#include <stdint.h>

#include "engine/device.h"

/* Everything that survives a freeze. */
struct i8042_state {
	uint8_t command; /* the last one: what the next byte of data is for */
};

struct i8042 {
	struct device dev;
	struct i8042_state s;
	uint64_t violations; /* counter: accesses refused */
};

extern const struct device_type i8042_type;
