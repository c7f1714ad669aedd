/* SPDX-License-Identifier: Apache-2.0 */
/* helpers_board.h - devices without KVM: a VM that is only RAM, buses and interrupt lines. */
#pragma once

#include "engine/vm.h"

struct board {
	struct vm vm;
	uint32_t pulses[IRQ_PINS]; /* rising edges */
	bool lines[IRQ_PINS];
};

/* RAM of 2 MiB from 0, and @types with no config each. Ends the program on failure. */
void board_make(struct board *b, const struct device_type *const *types, uint32_t n);
void board_drop(struct board *b);

/* One access of the guest: what was read; what the device answered. */
uint64_t board_read(struct bus *bus, uint64_t addr, uint32_t len);
int board_write(struct bus *bus, uint64_t addr, uint32_t len, uint64_t value);
