/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/mptable.h"

#include <errno.h>
#include <string.h>

#include "devices/board.h"
#include "engine/err.h"
#include "engine/irq.h"

/* MultiProcessor Specification 1.4, chapter 4: the bytes of the table, in order. */
#define SPEC_REVISION	4u
#define APIC_VERSION	0x14u /* of a local APIC that is part of the CPU */
#define IOAPIC_VERSION	0x20u
#define PROCESSOR_FLAGS 3u /* enabled, the first one */
#define IOAPIC_ENABLED	1u
#define ALL_APICS	0xffu

enum entry { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL };
enum interrupt { INTERRUPT_INT = 0, INTERRUPT_NMI = 1, INTERRUPT_EXT = 3 };

struct floating {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t revision, checksum;
	uint8_t features[5];
};

struct header {
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

struct processor {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features;
	uint32_t reserved[2];
};

struct bus {
	uint8_t type, id;
	char name[6];
};

struct ioapic_entry {
	uint8_t type, id, version, flags;
	uint32_t address;
};

/* To a pin of the IOAPIC, or of the local APIC. Polarity and trigger mode as of the bus: edges. */
struct interrupt_entry {
	uint8_t type, kind;
	uint16_t flags;
	uint8_t bus, irq, apic_id, pin;
};

struct table {
	struct floating floating;
	struct header header;
	struct processor processor;
	struct bus bus;
	struct ioapic_entry ioapic;
	struct interrupt_entry interrupts[IRQ_PINS];
	struct interrupt_entry local[2];
};

_Static_assert(sizeof(struct floating) == 16 && sizeof(struct header) == 44 &&
		       sizeof(struct processor) == 20 && sizeof(struct interrupt_entry) == 8,
	       "as specified");
_Static_assert(sizeof(struct table) <= 1024, "fits where it is put");

static uint8_t checksum(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	uint8_t sum = 0;

	while (len-- > 0)
		sum = (uint8_t)(sum + *at++);
	return (uint8_t)-sum;
}

static void fill(struct table *t)
{
	const size_t length = sizeof(*t) - offsetof(struct table, header);

	*t = (struct table){
		.floating = { .signature = "_MP_",
			      .table = BOARD_EBDA_GPA + offsetof(struct table, header),
			      .length = 1,
			      .revision = SPEC_REVISION },
		.header = { .signature = "PCMP",
			    .length = (uint16_t)length,
			    .revision = SPEC_REVISION,
			    .oem = "THAW    ",
			    .product = "MICROVM     ",
			    .nentries = 3 + IRQ_PINS + ARRAY_SIZE(t->local),
			    .lapic = BOARD_LAPIC_GPA },
		.processor = { .type = ENTRY_PROCESSOR,
			       .apic_version = APIC_VERSION,
			       .flags = PROCESSOR_FLAGS },
		.bus = { .type = ENTRY_BUS, .name = "ISA   " },
		.ioapic = { .type = ENTRY_IOAPIC,
			    .id = BOARD_IOAPIC_ID,
			    .version = IOAPIC_VERSION,
			    .flags = IOAPIC_ENABLED,
			    .address = BOARD_IOAPIC_GPA },
		.local = { { .type = ENTRY_LOCAL, .kind = INTERRUPT_EXT, .apic_id = ALL_APICS },
			   { .type = ENTRY_LOCAL,
			     .kind = INTERRUPT_NMI,
			     .apic_id = ALL_APICS,
			     .pin = 1 } },
	};
	for (uint8_t i = 0; i < IRQ_PINS; i++)
		t->interrupts[i] = (struct interrupt_entry){ .type = ENTRY_INTERRUPT,
							     .kind = INTERRUPT_INT,
							     .irq = i,
							     .apic_id = BOARD_IOAPIC_ID,
							     .pin = i };
	t->header.checksum = checksum(&t->header, length);
	t->floating.checksum = checksum(&t->floating, sizeof(t->floating));
}

int mptable_write(const struct mem *mem, struct err *err)
{
	void *at = mem_at(mem, BOARD_EBDA_GPA, sizeof(struct table));
	struct table t;

	if (!at)
		return err_set(err, EFAULT, "no RAM at 0x%x for the MP table", BOARD_EBDA_GPA);
	fill(&t);
	memcpy(at, &t, sizeof(t));
	return 0;
}
