/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as a kernel walks them; what ACPICA says of them is in tests/e2e_acpi.sh. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "devices/acpi.h"
#include "devices/acpi_tables.h"
#include "devices/aml.h"
#include "devices/board.h"
#include "engine/err.h"
#include "engine/pc_memory.h"
#include "engine/vm.h"

static struct mem mem = { .nregions = 1, .regions[0] = { .size = MEM_HUGE_SIZE } };
static struct err err;

static const struct acpi_config all = { .nvcpus = 3,
					.nvirtio = 2,
					.has_serial = true,
					.has_ged = true,
					.has_vmgenid = true,
					.has_vmclock = true };

static void setup(void)
{
	cr_assert(eq(int, mem_map(&mem, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	mem_unmap(&mem);
}

TestSuite(acpi, .init = setup, .fini = teardown);

static uint8_t sum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t total = 0;

	while (len-- > 0)
		total += *p++;
	return total;
}

/* A table of that signature, whole and in its place. */
static const void *table(gpa_t at, const char *signature)
{
	const struct acpi_header *h = mem_at(&mem, at, sizeof(*h));

	cr_assert(h && at % 16 == 0 && at > BOARD_TABLES_GPA, "%s", signature);
	cr_assert(at + h->length <= BOARD_TABLES_GPA + BOARD_TABLES_SIZE, "%s", signature);
	cr_expect(eq(int, memcmp(h->signature, signature, 4), 0), "%s", signature);
	cr_expect(eq(u8, sum(h, h->length), 0), "%s", signature);
	return h;
}

static const struct acpi_xsdt *write_all(const struct acpi_config *cfg)
{
	const struct acpi_rsdp *rsdp;
	gpa_t at = 0;

	cr_assert(eq(int, acpi_write(&mem, cfg, &at, &err), 0), "%s", err.text);
	cr_assert(eq(u64, at, BOARD_TABLES_GPA));
	rsdp = mem_at(&mem, at, sizeof(*rsdp));
	cr_expect(eq(int, memcmp(rsdp->signature, "RSD PTR ", 8), 0));
	cr_expect(eq(u8, sum(rsdp, 20), 0)); /* what ACPI 1.0 knew */
	cr_expect(eq(u8, sum(rsdp, rsdp->length), 0));
	cr_expect(eq(u32, rsdp->length, 36));
	return table(rsdp->xsdt, "XSDT");
}

static bool dsdt_has(const struct acpi_xsdt *xsdt, const char *name)
{
	const struct acpi_fadt *fadt = table(xsdt->tables[0], "FACP");
	const struct acpi_header *dsdt = table(fadt->x_dsdt, "DSDT");

	return memmem(dsdt, dsdt->length, name, strlen(name));
}

Test(acpi, the_machine_is_hardware_reduced)
{
	const struct acpi_fadt *fadt = table(write_all(&all)->tables[0], "FACP");

	cr_expect(ne(u32, fadt->flags & FADT_HW_REDUCED, 0));
	cr_expect(eq(u32, fadt->boot_flags & 3, 0)); /* neither legacy devices nor an 8042 */
	cr_expect(eq(u64, fadt->reset.address, BOARD_GED_GPA + 6));
	cr_expect(eq(u64, fadt->sleep_control.address, BOARD_GED_GPA + 4));
	cr_expect(eq(u64, fadt->sleep_status.address, BOARD_GED_GPA + 5));
}

Test(acpi, each_vcpu_and_the_ioapic_are_listed)
{
	const struct acpi_madt *madt = table(write_all(&all)->tables[1], "APIC");
	const uint8_t *at = (const uint8_t *)(madt + 1);
	const uint8_t *end = (const uint8_t *)madt + madt->header.length;
	const struct acpi_ioapic *ioapic = NULL;
	uint32_t nlapics = 0;

	for (; at < end; at += at[1]) {
		const struct acpi_lapic *l = (const void *)at;

		cr_assert(ge(u8, at[1], 2));
		if (at[0] == ACPI_IOAPIC)
			ioapic = (const void *)at;
		else if (at[0] == ACPI_LAPIC)
			cr_expect(eq(u8, l->apic_id, nlapics++));
	}
	cr_expect(eq(ptr, (void *)at, (void *)end));
	cr_expect(eq(u32, nlapics, 3));
	cr_assert(ioapic != NULL);
	cr_expect(eq(u32, ioapic->gpa, BOARD_IOAPIC_GPA));
	cr_expect(eq(u32, madt->lapic_gpa, BOARD_LAPIC_GPA));
	cr_expect(eq(u32, madt->flags, 0)); /* no 8259 */
}

/* In real mode, at ffff:0. */
Test(acpi, the_reset_vector_resets_by_the_8042)
{
	static const uint8_t code[] = { 0xb0, 0xfe, 0xe6, 0x64, 0xf4, 0xeb, 0xfd };

	write_all(&all);
	cr_expect(eq(int, memcmp(mem_at(&mem, 0xffff0, sizeof(code)), code, sizeof(code)), 0));
}

Test(acpi, only_what_is_there_is_told)
{
	static const char *const names[] = { "COM1", "GED_", "PWRB", "VGEN", "VCLK",
					     "VR00", "VR01", "CP02", "_S5_" };
	const struct acpi_config bare = { .nvcpus = 1 };
	const struct acpi_xsdt *xsdt = write_all(&all);
	const struct acpi_fadt *fadt;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect(dsdt_has(xsdt, names[i]), "%s", names[i]);
	cr_expect(not(dsdt_has(xsdt, "VR02")));
	xsdt = write_all(&bare);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		cr_expect(not(dsdt_has(xsdt, names[i])), "%s", names[i]);
	fadt = table(xsdt->tables[0], "FACP");
	cr_expect(eq(u32, fadt->flags & FADT_HAS_RESET, 0));
	cr_expect(eq(u64, fadt->sleep_control.address, 0));
}

Test(acpi, the_largest_machine_fits)
{
	struct acpi_config cfg = all;
	const struct acpi_xsdt *xsdt;

	cfg.nvcpus = VM_MAX_VCPUS;
	cfg.nvirtio = BOARD_VIRTIO_PLACES;
	xsdt = write_all(&cfg);
	cr_expect(dsdt_has(xsdt, "VR0F") && dsdt_has(xsdt, "CP3F"));
}

Test(acpi, what_no_board_has_is_refused)
{
	static const struct {
		struct acpi_config cfg;
		const char *text;
	} bad[] = {
		{ { .nvcpus = 0 }, "ACPI: 0 vCPUs, expected 1 to 64" },
		{ { .nvcpus = 65 }, "ACPI: 65 vCPUs, expected 1 to 64" },
		{ { .nvcpus = 1, .nvirtio = 17 },
		  "ACPI: 17 virtio devices, the board has places for 16" },
		{ { .nvcpus = 1, .has_vmgenid = true },
		  "ACPI: VMGenID and VMClock need the event device" },
	};
	const struct mem high = { .nregions = 1,
				  .regions[0] = { .gpa = PC_HOLE_END,
						  .size = MEM_HUGE_SIZE,
						  .host = mem.regions[0].host } };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_expect(eq(int, acpi_write(&mem, &bad[i].cfg, NULL, &err), -EINVAL));
		cr_expect(eq(str, err.text, (char *)bad[i].text));
	}
	cr_expect(eq(int, acpi_write(&high, &all, NULL, &err), -EFAULT));
	cr_expect(eq(str, err.text, "ACPI: no RAM at 0xe0000 for firmware tables"));
}

Test(aml, a_small_buffer_is_not_left)
{
	for (size_t room = 0; room < 64; room++) {
		uint8_t buf[128];
		struct aml a = { .buf = buf, .room = room };
		struct aml_block dev, crs;

		memset(buf, 0xee, sizeof(buf));
		dev = aml_device(&a, "COM1");
		aml_name_eisaid(&a, "_HID", "PNP0501");
		aml_name_integer(&a, "_UID", 0x123456789);
		crs = aml_resources(&a);
		aml_resource_interrupt(&a, 4);
		aml_resources_end(&a, crs);
		aml_end(&a, dev);
		cr_expect(eq(u64, a.len, 56));
		cr_expect(eq(int, aml_fits(&a), room >= a.len));
		for (size_t i = room; i < sizeof(buf); i++)
			cr_assert(eq(u8, buf[i], 0xee), "room %zu, byte %zu", room, i);
	}
}
