/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/acpi_dsdt.h"

#include <stdio.h>

#include "devices/board.h"
#include "devices/ged.h"
#include "engine/util.h"
#include "engine/vm.h"

_Static_assert(VM_MAX_VCPUS <= 256 && BOARD_VIRTIO_PLACES <= 256,
	       "names of devices end in two hexadecimal digits");

/* Values of Notify (ACPI 6.3, 5.6.6). */
#define NOTIFY_PRESSED 0x80u /* of a button */
#define NOTIFY_CHANGED 0x80u /* of VMGenID and VMClock, by their documents */

/* A device whose name ends in its number. */
static struct aml_block numbered(struct aml *a, const char *prefix, uint32_t n)
{
	char name[5];

	snprintf(name, sizeof(name), "%.2s%02X", prefix, n & 0xff);
	return aml_device(a, name);
}

/* An entry of the MADT has a device of the same number. */
static void processor(struct aml *a, uint32_t n)
{
	struct aml_block dev = numbered(a, "CP", n);

	aml_name_string(a, "_HID", "ACPI0007");
	aml_name_integer(a, "_UID", n);
	aml_end(a, dev);
}

static void serial(struct aml *a)
{
	struct aml_block dev = aml_device(a, "COM1"), crs;

	aml_name_eisaid(a, "_HID", "PNP0501");
	aml_name_integer(a, "_UID", 0);
	crs = aml_resources(a);
	aml_resource_ports(a, BOARD_SERIAL_PORT, 8);
	aml_resource_interrupt(a, BOARD_SERIAL_GSI);
	aml_resources_end(a, crs);
	aml_end(a, dev);
}

/* Linux's virtio-mmio driver binds to this id. It is coherent by nature, and says so. */
static void virtio(struct aml *a, uint32_t n)
{
	struct aml_block dev = numbered(a, "VR", n), crs;

	aml_name_string(a, "_HID", "LNRO0005");
	aml_name_integer(a, "_UID", n);
	aml_name_integer(a, "_CCA", 1);
	crs = aml_resources(a);
	aml_resource_memory(a, BOARD_VIRTIO_GPA + n * BOARD_VIRTIO_SIZE, BOARD_VIRTIO_SIZE);
	aml_resource_interrupt(a, BOARD_VIRTIO_GSI + n);
	aml_resources_end(a, crs);
	aml_end(a, dev);
}

/* The id's address is in two halves, not in resources (Microsoft's document). */
static void vmgenid(struct aml *a)
{
	static const uint64_t address[] = { BOARD_VMGENID_GPA, 0 };
	struct aml_block dev = aml_device(a, "VGEN");

	aml_name_string(a, "_HID", "THAW0001");
	aml_name_string(a, "_CID", "VM_Gen_Counter");
	aml_name_string(a, "_DDN", "VM_Gen_Counter");
	aml_name_package(a, "ADDR", address, ARRAY_SIZE(address));
	aml_end(a, dev);
}

/* Linux's driver binds to the _HID; the _CID is the device's own name. */
static void vmclock(struct aml *a)
{
	struct aml_block dev = aml_device(a, "VCLK"), crs;

	aml_name_string(a, "_HID", "AMZNC10C");
	aml_name_string(a, "_CID", "VMCLOCK");
	aml_name_string(a, "_DDN", "VMCLOCK");
	crs = aml_resources(a);
	aml_resource_memory(a, BOARD_VMCLOCK_GPA, MEM_PAGE_SIZE);
	aml_resources_end(a, crs);
	aml_end(a, dev);
}

static void power_button(struct aml *a)
{
	struct aml_block dev = aml_device(a, "PWRB");

	aml_name_eisaid(a, "_HID", "PNP0C0C");
	aml_end(a, dev);
}

/* _EVT reads what happened, which clears it, and tells whom it concerns. */
static void event_device(struct aml *a, const struct acpi_config *cfg)
{
	struct aml_block dev = aml_device(a, "GED_"), crs, evt;

	aml_name_string(a, "_HID", "ACPI0013");
	aml_name_integer(a, "_UID", 0);
	crs = aml_resources(a);
	aml_resource_interrupt(a, BOARD_GED_GSI);
	aml_resources_end(a, crs);
	aml_region(a, "REGS", BOARD_GED_GPA + GED_EVENTS, 4);
	aml_word_field(a, "REGS", "EVTS");
	evt = aml_method(a, "_EVT", 1);
	aml_read_local0(a, "EVTS");
	aml_notify_if_local0(a, GED_POWER_BUTTON, "PWRB", NOTIFY_PRESSED);
	if (cfg->has_vmgenid)
		aml_notify_if_local0(a, GED_VMGENID, "VGEN", NOTIFY_CHANGED);
	if (cfg->has_vmclock)
		aml_notify_if_local0(a, GED_VMCLOCK, "VCLK", NOTIFY_CHANGED);
	aml_end(a, evt);
	aml_end(a, dev);
}

/* What the event device notifies is declared before it. */
static void platform(struct aml *a, const struct acpi_config *cfg)
{
	if (cfg->has_serial)
		serial(a);
	if (cfg->has_vmgenid)
		vmgenid(a);
	if (cfg->has_vmclock)
		vmclock(a);
	if (cfg->has_ged) {
		power_button(a);
		event_device(a, cfg);
	}
}

void acpi_dsdt(struct aml *a, const struct acpi_config *cfg)
{
	static const uint64_t s5[] = { GED_SLEEP_S5, 0, 0, 0 };
	struct aml_block scope = aml_scope(a, "\\_SB_");

	for (uint32_t i = 0; i < cfg->nvcpus; i++)
		processor(a, i);
	platform(a, cfg);
	for (uint32_t i = 0; i < cfg->nvirtio; i++)
		virtio(a, i);
	aml_end(a, scope);
	if (cfg->has_ged)
		aml_name_package(a, "_S5_", s5, ARRAY_SIZE(s5));
}
