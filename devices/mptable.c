/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/mptable.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "devices/board.h"
#include "devices/checksum.h"
#include "engine/err.h"
#include "engine/irq.h"

#define SIZE_MAX_BYTES 1024u /* of the EBDA, where kernels look: 4 */

#define REVISION 4u /* 1.4 */

enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_IO_INT, ENTRY_LOCAL_INT }; /* table 4-3 */

struct pointer { /* 4.1 */
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t revision, checksum;
	uint8_t features[5]; /* 0: there is a table */
};

struct header { /* 4.2 */
	char signature[4];
	uint16_t length;
	uint8_t revision, checksum;
	char oem[8], product[12];
	uint32_t oem_table;
	uint16_t oem_size, nentries;
	uint32_t lapic;
	uint16_t extended_length;
	uint8_t extended_checksum, reserved;
};

#define CPU_APIC_VERSION 0x14u /* SDM vol. 3A, 11.4.8 */
#define CPU_ENABLED	 1u
#define CPU_FIRST	 2u
struct cpu { /* 4.3.1 */
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features;
	uint32_t reserved[2];
};

struct bus { /* 4.3.2 */
	uint8_t type, id;
	char name[6];
};

#define IOAPIC_VERSION 0x20u
#define IOAPIC_ENABLED 1u
struct ioapic { /* 4.3.3 */
	uint8_t type, id, version, flags;
	uint32_t gpa;
};

#define INT_VECTORED 0u
#define INT_NMI	     1u
#define ALL_CPUS     0xffu
#define NMI_PIN	     1u /* of a local APIC */
struct interrupt {	/* 4.3.4, 4.3.5 */
	uint8_t type, kind;
	uint16_t flags; /* 0: as the bus has it */
	uint8_t bus, line, apic, pin;
};

/* What follows the CPUs. */
struct tail {
	struct bus isa;
	struct ioapic ioapic;
	struct interrupt lines[IRQ_PINS];
	struct interrupt nmi;
};

#define TAIL_ENTRIES (3 + IRQ_PINS)

static void write_cpus(struct cpu *cpus, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		cpus[i] = (struct cpu){
			.type = ENTRY_CPU,
			.apic_id = (uint8_t)i,
			.apic_version = CPU_APIC_VERSION,
			.flags = i == 0 ? CPU_ENABLED | CPU_FIRST : CPU_ENABLED,
		};
}

static void write_tail(struct tail *t)
{
	*t = (struct tail){
		.isa = { ENTRY_BUS, 0, { 'I', 'S', 'A', ' ', ' ', ' ' } },
		.ioapic = { ENTRY_IOAPIC, BOARD_IOAPIC_ID, IOAPIC_VERSION, IOAPIC_ENABLED,
			    BOARD_IOAPIC_GPA },
		.nmi = { ENTRY_LOCAL_INT, INT_NMI, .apic = ALL_CPUS, .pin = NMI_PIN },
	};
	for (uint8_t i = 0; i < IRQ_PINS; i++)
		t->lines[i] = (struct interrupt){ ENTRY_IO_INT, INT_VECTORED, .line = i,
						  .apic = BOARD_IOAPIC_ID, .pin = i };
}

int mptable_write(const struct mem *mem, uint32_t nvcpus, struct err *err)
{
	const uint64_t fixed =
		sizeof(struct pointer) + sizeof(struct header) + sizeof(struct tail);
	const uint64_t size =
		sizeof(struct header) + nvcpus * sizeof(struct cpu) + sizeof(struct tail);
	struct pointer *pointer = mem_at(mem, BOARD_EBDA_GPA, SIZE_MAX_BYTES);
	struct header *header;
	struct cpu *cpus;

	if (!pointer)
		return err_set(err, EFAULT, "no RAM for the MP table at 0x%x", BOARD_EBDA_GPA);
	if (nvcpus > (SIZE_MAX_BYTES - fixed) / sizeof(struct cpu))
		return err_set(err, EINVAL, "%u vCPUs, an MP table has room for %zu", nvcpus,
			       (SIZE_MAX_BYTES - fixed) / sizeof(struct cpu));
	header = (struct header *)(pointer + 1);
	cpus = (struct cpu *)(header + 1);
	*pointer = (struct pointer){
		.signature = { '_', 'M', 'P', '_' },
		.table = BOARD_EBDA_GPA + sizeof(*pointer),
		.length = 1,
		.revision = REVISION,
	};
	*header = (struct header){
		.signature = { 'P', 'C', 'M', 'P' },
		.length = (uint16_t)size,
		.revision = REVISION,
		.oem = { 'T', 'H', 'A', 'W', ' ', ' ', ' ', ' ' },
		.product = { 'm', 'i', 'c', 'r', 'o', 'V', 'M', ' ', ' ', ' ', ' ', ' ' },
		.nentries = (uint16_t)(nvcpus + TAIL_ENTRIES),
		.lapic = BOARD_LAPIC_GPA,
	};
	write_cpus(cpus, nvcpus);
	write_tail((struct tail *)(cpus + nvcpus));
	header->checksum = checksum_of(header, size);
	pointer->checksum = checksum_of(pointer, sizeof(*pointer));
	return 0;
}
