/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pc_memory.h - where a PC has RAM and where it has none, and the table that tells it to the
 * guest's kernel.
 */
#pragma once

#include <stdint.h>

#include "engine/mem.h"

/* Source: IBM PC/AT. RAM ends where the extended BIOS data begin; up to 1 MiB are video memory and
 * ROM, and what lies behind them is RAM that only firmware's tables are in. */
#define PC_EBDA_GPA   0x0009fc00u
#define PC_MIDDLE_GPA 0x00100000u /* RAM goes on */

/* The hole below 4 GiB that has no RAM: registers, and the mailbox. */
#define PC_HOLE_GPA 0xc0000000ull
#define PC_HOLE_END 0x100000000ull

/* RAM of @size bytes, a multiple of MEM_HUGE_SIZE: from 0 to the hole, the rest behind it. */
struct mem pc_memory_layout(uint64_t size);

/* ACPI 6.4, 15: the same numbers in e820 and in PVH's map. */
enum pc_range_type {
	PC_RAM = 1,
	PC_RESERVED = 2,
};

struct pc_range {
	gpa_t gpa;
	uint64_t size;
	uint32_t type; /* enum pc_range_type */
};

#define PC_RANGES_MAX (2 + MEM_MAX_REGIONS)

/* The map of a machine with @mem, whose first region is from 0 and larger than 1 MiB. Returns the
 * number of ranges. */
uint32_t pc_memory_map(const struct mem *mem, struct pc_range ranges[PC_RANGES_MAX]);
