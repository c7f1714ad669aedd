/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msi.h - message-signalled interrupts: how what is not a CPU interrupts one. Source: SDM
 * vol. 3A, 11.11.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/irq.h"
#include "engine/util.h"

struct err;
struct vm;

struct msi {
	uint32_t address; /* MSI_ADDRESS, and who is meant */
	uint32_t data;	  /* vector; mode of delivery from bit 8 on; bit 15: level-triggered */
};

#define MSI_ADDRESS    0xfee00000u
#define MSI_DEST_SHIFT 12	 /* 8 bits: an APIC's number, */
#define MSI_LOGICAL    (1u << 2) /* or a set of them */

/*
 * msi_send - interrupt, from any thread. When this returns, the interrupt is part of what the
 * local APIC saves. Returns whether one took it: none is addressed, or it is off.
 */
bool msi_send(const struct vm *vm, struct msi msg);

/* Does a local APIC hold an interrupt of @vector, taken or not yet? 0 or 1; vCPUs are stopped.
 * Cost: 10 us. */
int msi_is_held(const struct vm *vm, uint8_t vector, struct err *err) must_check;

/*
 * msi_set_routes - tell KVM what each pin sends, in place of what it was told before. It needs
 * that only of level-triggered interrupts, in order to say when the guest is done with one
 * (irq_eoi). @pins: data 0: nothing. Cost: waits for a grace period (docs/design-notes.md).
 */
int msi_set_routes(const struct vm *vm, const struct msi pins[IRQ_PINS],
		   struct err *err) must_check;
