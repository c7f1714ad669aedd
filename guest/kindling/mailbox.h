/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mailbox.h - kindling's side of the mailbox in guest/abi.h. The host writes its half only
 * while the vCPU is stopped in a doorbell or between two instructions: hence volatile.
 */
#pragma once

#include <stdint.h>

#include "guest/abi.h"
#include "guest/kindling/layout.h"

static inline volatile struct abi_mailbox *mailbox(void)
{
	return (volatile struct abi_mailbox *)LAYOUT_WINDOW;
}

static inline uint8_t *mailbox_log(void)
{
	return (uint8_t *)(LAYOUT_WINDOW + ABI_WINDOW_LOG);
}

/* Stop, and let the host act; everything stored before is in memory when it looks. */
static inline void mailbox_ring(uint32_t doorbell)
{
	__asm__ volatile("" ::: "memory");
	*(volatile uint32_t *)(LAYOUT_REGS + doorbell) = 0;
	__asm__ volatile("" ::: "memory");
}
