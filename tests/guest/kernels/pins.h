/* SPDX-License-Identifier: Apache-2.0 */
/* pins.h - the orders that pins.c takes, one in each event. */
#pragma once

#include <stdint.h>

#define PINS_VECTOR 0x40u /* and the three above it */
#define PINS_PORT   0x80u /* a byte goes there with each interrupt that is taken or served */

enum pins_what {
	PINS_WRITE, /* @value to the IOAPIC's register @reg */
	PINS_READ,  /* the register, into the report's value */
	PINS_TAKE,  /* let come what is pending; it stays in service */
	PINS_END,   /* the interrupt in service is over */
	PINS_SERVE, /* let come what is pending, and end it */
	PINS_WAIT,  /* sleep until @value interrupts were served; the port is left alone */
};

struct pins_order {
	uint32_t what; /* enum pins_what */
	uint32_t reg, value;
};

/* The reply to every order. */
struct pins_report {
	uint32_t value;
	uint32_t taken; /* interrupts since the boot */
};
