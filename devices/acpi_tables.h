/* SPDX-License-Identifier: Apache-2.0 */
/* acpi_tables.h - the tables of ACPI 6.3, chapter 5.2, as they lie in memory. Little-endian, packed;
 * what is not named here is 0 on a hardware-reduced machine. */
#pragma once

#include <stdint.h>

#define acpi_packed __attribute__((packed))

#define ACPI_ALIGN 64u /* ours: each table begins on a cache line */

struct acpi_rsdp { /* 5.2.5.3 */
	char signature[8];
	uint8_t checksum; /* of what lies before length */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum; /* of all */
	uint8_t reserved[3];
} acpi_packed;

struct acpi_header { /* 5.2.6 */
	char signature[4];
	uint32_t length;
	uint8_t revision, checksum;
	char oem_id[6], oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} acpi_packed;

struct acpi_xsdt { /* 5.2.8 */
	struct acpi_header header;
	uint64_t tables[2];
} acpi_packed;

#define ACPI_SYSTEM_MEMORY 0u
#define ACPI_ACCESS_BYTE   1u
struct acpi_address { /* generic address structure, 5.2.3.2 */
	uint8_t space, bits, bit_off, access;
	uint64_t address;
} acpi_packed;

/* IA-PC boot architecture flags: neither legacy devices nor an 8042 that one could rely on. */
#define FADT_NO_VGA	 (1u << 2)
#define FADT_NO_CMOS_RTC (1u << 5)

#define FADT_WBINVD	    (1u << 0)
#define FADT_C1		    (1u << 2)
#define FADT_NO_FIXED_POWER (1u << 4)
#define FADT_NO_FIXED_SLEEP (1u << 5)
#define FADT_HAS_RESET	    (1u << 10)
#define FADT_HW_REDUCED	    (1u << 20)

struct acpi_fadt { /* 5.2.9 */
	struct acpi_header header;
	uint8_t unused_36[73]; /* registers of fixed hardware, and 32-bit addresses */
	uint16_t boot_flags;
	uint8_t unused_111;
	uint32_t flags;
	struct acpi_address reset;
	uint8_t reset_value;
	uint16_t arm_flags;
	uint8_t minor_revision;
	uint64_t x_facs, x_dsdt;
	struct acpi_address unused_148[8]; /* of fixed hardware */
	struct acpi_address sleep_control, sleep_status;
	uint64_t hypervisor;
} acpi_packed;
_Static_assert(sizeof(struct acpi_fadt) == 276, "the FADT of ACPI 6");

struct acpi_madt { /* 5.2.12 */
	struct acpi_header header;
	uint32_t lapic_gpa;
	uint32_t flags; /* 0: no 8259s */
} acpi_packed;

#define ACPI_LAPIC	   0u
#define ACPI_LAPIC_ENABLED 1u
struct acpi_lapic { /* 5.2.12.2 */
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} acpi_packed;

#define ACPI_IOAPIC 1u
struct acpi_ioapic { /* 5.2.12.3 */
	uint8_t type, length, id, reserved;
	uint32_t gpa, first_gsi;
} acpi_packed;
