/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.h - the table by which a kernel without ACPI finds CPUs, IOAPIC and interrupt lines: Intel
 * MultiProcessor Specification 1.4. Written to guest memory once, at boot; a frozen guest has it in
 * its memory.
 */
#pragma once

#include <stdint.h>

#include "engine/mem.h"

struct err;

/*
 * mptable_write - put the table of a board with @nvcpus CPUs, APIC ids from 0, at BOARD_EBDA_GPA.
 * Each GSI is a line of an ISA bus: rising edge, at the pin of that number.
 * Errors: -EFAULT no RAM there; -EINVAL more vCPUs than there is room for.
 */
int mptable_write(const struct mem *mem, uint32_t nvcpus, struct err *err) must_check;
