/* SPDX-License-Identifier: Apache-2.0 */
/* obey.h - the orders that obey.c takes, one in each event. */
#pragma once

#include <stdint.h>

enum order_what {
	ORDER_SPIN,  /* never answer */
	ORDER_FAULT, /* triple fault */
	ORDER_READ, /* @size bytes (1, 2, 4, 8) at @addr; the reply is 8 bytes, zero-extended */
	ORDER_WRITE, /* @size bytes (1, 2, 4, 8) of @value at @addr; empty reply */
	ORDER_OUT,   /* "0123..." of @size bytes to port @addr, by one instruction */
	ORDER_LOG,   /* ring LOG with log_size = @value and stream @addr; empty reply */
	ORDER_REPLY, /* reply_size = @value, whatever is in the reply area */
	ORDER_TELL,  /* the reply is the first page of the window, as the guest sees it */
};

struct order {
	uint32_t what; /* enum order_what */
	uint32_t size;
	uint64_t addr, value;
};
