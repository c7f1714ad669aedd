/* SPDX-License-Identifier: Apache-2.0 */
/*
 * acpi_tables DIR - write the ACPI tables of a machine that has everything to files of their own,
 * found as a kernel finds them: from the RSDP.
 */
#include <stdio.h>
#include <string.h>

#include "devices/acpi.h"
#include "devices/acpi_tables.h"
#include "devices/board.h"
#include "engine/err.h"

static struct mem mem = { .nregions = 1, .regions[0] = { .size = MEM_HUGE_SIZE } };

static int put(const char *dir, const void *data, size_t len, const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%.4s.aml", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f) != 0) {
		perror(path);
		return 1;
	}
	return 0;
}

static int put_table(const char *dir, gpa_t at)
{
	const struct acpi_header *h = mem_at(&mem, at, sizeof(*h));

	return put(dir, h, h->length, h->signature);
}

int main(int argc, char **argv)
{
	const struct acpi_config cfg = { .nvcpus = 2,
					 .nvirtio = BOARD_VIRTIO_PLACES,
					 .has_serial = true,
					 .has_ged = true,
					 .has_vmgenid = true,
					 .has_vmclock = true };
	const struct acpi_rsdp *rsdp;
	const struct acpi_xsdt *xsdt;
	const struct acpi_fadt *fadt;
	struct err err;
	gpa_t at;

	if (argc != 2) {
		fprintf(stderr, "usage: acpi_tables DIR\n");
		return 2;
	}
	if (mem_map(&mem, &err) < 0 || acpi_write(&mem, &cfg, &at, &err) < 0) {
		fprintf(stderr, "acpi_tables: %s\n", err.text);
		return 1;
	}
	rsdp = mem_at(&mem, at, sizeof(*rsdp));
	xsdt = mem_at(&mem, rsdp->xsdt, sizeof(*xsdt));
	fadt = mem_at(&mem, xsdt->tables[0], sizeof(*fadt));
	return put(argv[1], rsdp, sizeof(*rsdp), "RSDP") | put_table(argv[1], rsdp->xsdt) |
	       put_table(argv[1], xsdt->tables[0]) | put_table(argv[1], xsdt->tables[1]) |
	       put_table(argv[1], fadt->x_dsdt);
}
