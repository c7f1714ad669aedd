/* SPDX-License-Identifier: Apache-2.0 */
/*
 * board.h - where everything is that a guest finds without asking: ports, addresses and GSIs of a
 * Linux machine, and where its firmware tables lie. The mailbox's addresses are in guest/abi.h,
 * those of RAM in engine/pc_memory.h; all registers are in its hole. A frozen guest has them in its memory: never change one, add another.
 */
#pragma once

#include "engine/pc_memory.h"

/* Ports. Source: IBM PC/AT, as every PC since. */
#define BOARD_SERIAL_PORT 0x3f8u /* COM1: 8 ports */
#define BOARD_SERIAL_GSI  4u
#define BOARD_I8042_DATA  0x60u
#define BOARD_I8042_CMD	  0x64u
#define BOARD_RTC_PORT	  0x70u /* index and data */

#define BOARD_IOAPIC_GPA 0xfec00000u /* Intel 82093AA, 3.0 */
#define BOARD_IOAPIC_ID	 1u	     /* ours: the vCPU's APIC has 0 */
#define BOARD_LAPIC_GPA	 0xfee00000u /* SDM vol. 3A, 11.4.1 */

/* The ACPI generic event device: its GSI, and the register page that tells the guest what
 * happened (devices/ged.h). */
#define BOARD_GED_GSI 5u
#define BOARD_GED_GPA 0xc0100000u

/* Places of virtio devices: the n-th has a page of registers and a GSI of its own. */
#define BOARD_VIRTIO_GPA    0xc0000000u /* + n * BOARD_VIRTIO_SIZE */
#define BOARD_VIRTIO_SIZE   0x1000u
#define BOARD_VIRTIO_GSI    8u /* + n */
#define BOARD_VIRTIO_PLACES 16u

/* Firmware tables, in the part of RAM where a PC has its ROM and where Linux looks for them:
 * reserved in the memory map. */
#define BOARD_EBDA_GPA	  PC_EBDA_GPA /* the MP table's; 1 KiB */
#define BOARD_TABLES_GPA  0x000e0000u /* RSDP first (ACPI 6.4, 5.2.5.1) */
#define BOARD_TABLES_SIZE 0x0001e000u
#define BOARD_VMGENID_GPA 0x000fe000u /* 16 bytes on a page */
#define BOARD_VMCLOCK_GPA 0x000ff000u /* a page */
#define BOARD_RESET_GPA	  0x000ffff0u /* where a PC's CPU starts: behind VMClock's numbers */
#define BOARD_TABLES_END  PC_MIDDLE_GPA
