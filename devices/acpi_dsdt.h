/* SPDX-License-Identifier: Apache-2.0 */
/* acpi_dsdt.h - the part of the tables that is a program: the devices that no bus announces. */
#pragma once

#include "devices/acpi.h"
#include "devices/aml.h"

/* Write the DSDT's definition block, without the table's header. */
void acpi_dsdt(struct aml *a, const struct acpi_config *cfg);
