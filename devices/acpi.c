/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/acpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/acpi_dsdt.h"
#include "devices/acpi_tables.h"
#include "devices/board.h"
#include "devices/checksum.h"
#include "devices/ged.h"
#include "devices/vmclock.h"
#include "engine/err.h"
#include "engine/vm.h"

/* The tables of one machine while they are written, one behind the other. */
struct writer {
	uint8_t *area; /* BOARD_TABLES_SIZE bytes at BOARD_TABLES_GPA */
	size_t used;
};

/* Fill in the header of a table that is @len bytes long. */
static void head(struct acpi_header *h, const char *signature, uint8_t revision, size_t len)
{
	*h = (struct acpi_header){ .length = (uint32_t)len,
				   .revision = revision,
				   .oem_revision = 1,
				   .creator_revision = 1 };
	memcpy(h->signature, signature, sizeof(h->signature));
	memcpy(h->oem_id, "THAW  ", sizeof(h->oem_id));
	memcpy(h->oem_table_id, "THAW    ", sizeof(h->oem_table_id));
	memcpy(h->creator_id, "THAW", sizeof(h->creator_id));
}

/* Append a table whose header is filled in but for the checksum; it may lie there already. Returns
 * its address. */
static gpa_t append(struct writer *w, void *table)
{
	struct acpi_header *h = table;
	gpa_t at = BOARD_TABLES_GPA + w->used;

	h->checksum = checksum_of(table, h->length);
	memmove(w->area + w->used, table, h->length);
	w->used += ALIGN_UP((size_t)h->length, ACPI_ALIGN);
	return at;
}

/* ---- FADT ---- */

/* A register of one byte on the event device's page. */
static struct acpi_address ged_register(uint32_t off)
{
	return (struct acpi_address){ .space = ACPI_SYSTEM_MEMORY,
				      .bits = 8,
				      .access = ACPI_ACCESS_BYTE,
				      .address = BOARD_GED_GPA + off };
}

static gpa_t append_fadt(struct writer *w, const struct acpi_config *cfg, gpa_t dsdt)
{
	struct acpi_fadt fadt = {
		.minor_revision = 3,
		.boot_flags = FADT_NO_VGA | FADT_NO_CMOS_RTC,
		.flags = FADT_HW_REDUCED | FADT_WBINVD | FADT_C1 | FADT_NO_FIXED_POWER |
			 FADT_NO_FIXED_SLEEP,
		.x_dsdt = dsdt,
	};

	if (cfg->has_ged) {
		fadt.flags |= FADT_HAS_RESET;
		fadt.reset = ged_register(GED_RESET);
		fadt.reset_value = GED_RESET_VALUE;
		fadt.sleep_control = ged_register(GED_SLEEP_CONTROL);
		fadt.sleep_status = ged_register(GED_SLEEP_STATUS);
	}
	head(&fadt.header, "FACP", 6, sizeof(fadt));
	return append(w, &fadt);
}

/* ---- MADT ---- */

/* All GSIs are the IOAPIC's pins: it is the only one, and nothing is wired to another pin than the
 * PC has it, so there are no overrides. */
static gpa_t append_madt(struct writer *w, const struct acpi_config *cfg)
{
	struct {
		struct acpi_madt madt;
		struct acpi_ioapic ioapic;
		struct acpi_lapic lapics[VM_MAX_VCPUS];
	} acpi_packed t = {
		.madt = { .lapic_gpa = BOARD_LAPIC_GPA },
		.ioapic = { .type = ACPI_IOAPIC,
			    .length = sizeof(t.ioapic),
			    .id = BOARD_IOAPIC_ID,
			    .gpa = BOARD_IOAPIC_GPA },
	};

	for (uint32_t i = 0; i < cfg->nvcpus; i++)
		t.lapics[i] = (struct acpi_lapic){ .type = ACPI_LAPIC,
						   .length = sizeof(t.lapics[i]),
						   .uid = (uint8_t)i,
						   .apic_id = (uint8_t)i,
						   .flags = ACPI_LAPIC_ENABLED };
	head(&t.madt.header, "APIC", 5,
	     sizeof(t.madt) + sizeof(t.ioapic) + cfg->nvcpus * sizeof(t.lapics[0]));
	return append(w, &t);
}

/* ---- DSDT ---- */

/* Written in place, then given its header: its length is known last. */
static int append_dsdt(struct writer *w, const struct acpi_config *cfg, gpa_t *at,
		       struct err *err)
{
	uint8_t *table = w->area + w->used;
	struct aml aml = { .buf = table + sizeof(struct acpi_header),
			   .room = BOARD_TABLES_SIZE - w->used - sizeof(struct acpi_header) };

	acpi_dsdt(&aml, cfg);
	if (!aml_fits(&aml))
		return err_set(err, EINVAL, "the DSDT has %zu bytes, at most %zu fit", aml.len,
			       aml.room);
	head((void *)table, "DSDT", 2, sizeof(struct acpi_header) + aml.len);
	*at = append(w, table);
	return 0;
}

/* ---- the roots ---- */

static gpa_t append_xsdt(struct writer *w, gpa_t fadt, gpa_t madt)
{
	struct acpi_xsdt xsdt = { .tables = { fadt, madt } };

	head(&xsdt.header, "XSDT", 1, sizeof(xsdt));
	return append(w, &xsdt);
}

static void write_rsdp(struct acpi_rsdp *at, gpa_t xsdt)
{
	struct acpi_rsdp rsdp = { .revision = 2, .length = sizeof(rsdp), .xsdt = xsdt };

	memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
	memcpy(rsdp.oem_id, "THAW  ", sizeof(rsdp.oem_id));
	rsdp.checksum = checksum_of(&rsdp, offsetof(struct acpi_rsdp, length));
	rsdp.extended_checksum = checksum_of(&rsdp, sizeof(rsdp));
	memcpy(at, &rsdp, sizeof(rsdp));
}

/*
 * Where a PC has the start of its BIOS there is code that resets by the keyboard controller. Linux
 * goes there to reboot, in real mode: when ACPI is hardware-reduced its first choice is EFI, whether
 * it has that or not, and this the next.
 */
static int write_reset_vector(const struct mem *mem, struct err *err)
{
	static const uint8_t code[] = {
		0xb0, 0xfe, /* mov al, 0xfe */
		0xe6, 0x64, /* out 0x64, al */
		0xf4,	    /* hlt */
		0xeb, 0xfd, /* jmp to hlt */
	};
	void *at = mem_at(mem, BOARD_RESET_GPA, sizeof(code));

	_Static_assert(BOARD_I8042_CMD == 0x64, "the port is in the code");
	_Static_assert(BOARD_RESET_GPA >= BOARD_VMCLOCK_GPA + sizeof(struct vmclock_page) &&
			       BOARD_RESET_GPA + sizeof(code) <= BOARD_TABLES_END,
		       "the code is not in VMClock's way");
	if (!at)
		return err_set(err, EFAULT, "no RAM at 0x%x for a reset vector",
			       BOARD_RESET_GPA);
	memcpy(at, code, sizeof(code));
	return 0;
}

static int check(const struct acpi_config *cfg, struct err *err)
{
	if (cfg->nvcpus == 0 || cfg->nvcpus > VM_MAX_VCPUS)
		return err_set(err, EINVAL, "%u vCPUs, expected 1 to %u", cfg->nvcpus,
			       VM_MAX_VCPUS);
	if (cfg->nvirtio > BOARD_VIRTIO_PLACES)
		return err_set(err, EINVAL, "%u virtio devices, the board has places for %u",
			       cfg->nvirtio, BOARD_VIRTIO_PLACES);
	if (!cfg->has_ged && (cfg->has_vmgenid || cfg->has_vmclock))
		return err_set(err, EINVAL, "VMGenID and VMClock need the event device");
	return 0;
}

int acpi_write(const struct mem *mem, const struct acpi_config *cfg, gpa_t *rsdp,
	       struct err *err)
{
	struct writer w = { .area = mem_at(mem, BOARD_TABLES_GPA, BOARD_TABLES_SIZE),
			    .used = ALIGN_UP(sizeof(struct acpi_rsdp), ACPI_ALIGN) };
	gpa_t dsdt = 0, fadt, madt;
	int ret;

	if (!w.area)
		return err_set(err, EFAULT, "ACPI: no RAM at 0x%x for firmware tables",
			       BOARD_TABLES_GPA);
	ret = check(cfg, err);
	if (ret == 0)
		ret = append_dsdt(&w, cfg, &dsdt, err);
	if (ret == 0)
		ret = write_reset_vector(mem, err);
	if (ret < 0)
		return err_wrap(err, ret, "ACPI");
	fadt = append_fadt(&w, cfg, dsdt);
	madt = append_madt(&w, cfg);
	write_rsdp((void *)w.area, append_xsdt(&w, fadt, madt));
	if (rsdp)
		*rsdp = BOARD_TABLES_GPA;
	return 0;
}
