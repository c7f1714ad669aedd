/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ged.h - the generic event device (ACPI 6.3, 5.6.9): how the host tells a guest that something
 * happened, and how the guest powers the machine off or resets it (vm.end). A page of registers:
 *
 *	GED_EVENTS		what happened since it was read last; reading clears it
 *	GED_SLEEP_CONTROL	ACPI 6.3, 4.8.3.7: sleep type 5 is power off
 *	GED_SLEEP_STATUS	reads 0: nothing that sleeps wakes here
 *	GED_RESET		GED_RESET_VALUE resets
 *
 * The guest's interpreter reads the events in _EVT and notifies the devices (devices/acpi.c). Events
 * are posted from any thread.
 */
#pragma once

#include <stdint.h>

#include "engine/device.h"

struct vm;

/* Bytes from BOARD_GED_GPA. */
#define GED_EVENTS	  0u /* 4 bytes */
#define GED_SLEEP_CONTROL 4u /* 1 byte, as those that follow */
#define GED_SLEEP_STATUS  5u
#define GED_RESET	  6u
#define GED_SIZE	  4096u

#define GED_RESET_VALUE 1u
#define GED_SLEEP_S5	5u /* ours: SLP_TYP of S5 */

/* Bits of GED_EVENTS. */
#define GED_POWER_BUTTON (1u << 0)
#define GED_VMGENID	 (1u << 1)
#define GED_VMCLOCK	 (1u << 2)
#define GED_ALL_EVENTS	 (GED_POWER_BUTTON | GED_VMGENID | GED_VMCLOCK)

/* Everything that survives a freeze. */
struct ged_state {
	uint32_t events; /* posted, not yet read */
};

struct ged {
	struct device dev;
	struct ged_state s;	     /* as it was saved or loaded last */
	uint32_t events;	     /* atomic */
	uint64_t raised, violations; /* counters: interrupts, nonsense refused */
};

extern const struct device_type ged_type;

/* The event device of @vm, or NULL. */
struct ged *ged_of(const struct vm *vm);

/* Tell the guest of events; nothing where @vm has no such device. While @vm runs, with the worker's lock
 * held: they come to no machine that is being saved or rewound. */
void ged_post(const struct vm *vm, uint32_t events);
