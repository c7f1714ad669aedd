/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi.h - the firmware tables by which a kernel finds the devices of a board: RSDP, XSDT, FADT, MADT
 * and DSDT of a hardware-reduced machine (ACPI 6.3), and a reset vector. Written to guest memory once,
 * at boot; a frozen guest has them in its memory.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/mem.h"

struct err;

/* What the tables tell of. */
struct acpi_config {
	uint32_t nvcpus;  /* APIC ids from 0 */
	uint32_t nvirtio; /* places 0 to n - 1 of the board have a device */
	bool has_serial, has_ged, has_vmgenid, has_vmclock;
};

/*
 * acpi_write - put the tables for @cfg at BOARD_TABLES_GPA, where Linux looks for the first one.
 * @rsdp: set to its address; NULL is allowed
 * Errors: -EFAULT no RAM there; -EINVAL VMGenID or VMClock without the event device that speaks for
 * them, or more devices or vCPUs than a board has.
 */
int acpi_write(const struct mem *mem, const struct acpi_config *cfg, gpa_t *rsdp,
	       struct err *err) must_check;
