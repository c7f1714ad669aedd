/* SPDX-License-Identifier: Apache-2.0 */
/*
 * irq.h - interrupt lines. A device raises a GSI of its VM; the device that is the VM's interrupt
 * controller says what becomes of it. Neither knows the other, nor the engine any of them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct vm;

#define IRQ_PINS 24u /* GSIs 0 to 23: as many as the IOAPIC of a PC has */

/* What an interrupt controller does. From any thread. */
struct irq_chip {
	void (*set)(void *dev, uint32_t gsi, bool level);
	void (*eoi)(void *dev, uint8_t vector); /* of a level-triggered interrupt */
	void *dev;
};

/* Set a line, gsi < IRQ_PINS. Nothing happens in a VM without an interrupt controller. */
void irq_set(const struct vm *vm, uint32_t gsi, bool level);

/* Up and down: an edge. */
void irq_pulse(const struct vm *vm, uint32_t gsi);

/* The guest is done with an interrupt of @vector. */
void irq_eoi(const struct vm *vm, uint8_t vector);
