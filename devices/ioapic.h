/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ioapic.h - the interrupt controller of a Linux machine: 24 lines in, messages to the local
 * APIC out. Specification: Intel 82093AA, with the EOI register of version 0x20.
 *
 * It is the VM's irq_chip: lines come from the device thread and from the vCPU's, registers from
 * the vCPU's. The lock is its own and the innermost.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "engine/device.h"
#include "engine/irq.h"

struct vm;

/* Everything that survives a freeze. */
struct ioapic_state {
	uint64_t redirection[IRQ_PINS]; /* as the guest reads them */
	uint32_t lines;			/* a bit each: it is up */
	uint16_t select;		/* the register behind the window */
	uint16_t id;
};

/* Bits of a redirection entry: 82093AA, 3.2.4. */
#define IOAPIC_VECTOR	  UINT64_C(0xff)
#define IOAPIC_MODE	  (UINT64_C(7) << 8) /* of delivery */
#define IOAPIC_LOGICAL	  (UINT64_C(1) << 11)
#define IOAPIC_LOW	  (UINT64_C(1) << 13) /* the line's polarity: kept, and of no effect */
#define IOAPIC_REMOTE_IRR (UINT64_C(1) << 14) /* the CPU is at it */
#define IOAPIC_LEVEL	  (UINT64_C(1) << 15)
#define IOAPIC_MASKED	  (UINT64_C(1) << 16)
#define IOAPIC_DEST	  (UINT64_C(0xff) << 56)

/* Registers of the page, and those that are reached through it: 82093AA, 3.1 and 3.2. */
enum {
	IOAPIC_SELECT = 0x00,
	IOAPIC_WINDOW = 0x10,
	IOAPIC_EOI = 0x40,
};
enum {
	IOAPIC_ID = 0,
	IOAPIC_VERSION = 1,
	IOAPIC_ARBITRATION = 2,
	IOAPIC_REDIRECTION = 0x10, /* two for each pin */
};

struct ioapic {
	struct device dev;
	struct ioapic_state s;
	pthread_mutex_t lock;
	uint64_t routed[IRQ_PINS]; /* of entries: what KVM was told; 0: nothing */
	/* Counters: interrupts sent; refused by the CPU, or of no mode that there is; raised in
	 * vain, as masked or not served yet; ends of level-triggered ones; routes told to KVM;
	 * accesses that no register has. */
	uint64_t delivered, refused, coalesced, eois, route_updates, violations;
};

extern const struct device_type ioapic_type;

/* The vector that an interrupt at @pin comes with; 0: none comes, or @vm has no IOAPIC. From any
 * thread. */
uint8_t ioapic_vector(const struct vm *vm, uint32_t pin);
