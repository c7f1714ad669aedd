/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mptable.h - the table that tells a kernel without ACPI of the vCPU and the interrupt controller
 * (Intel MultiProcessor Specification 1.4). Written to guest memory once, at boot.
 */
#pragma once

#include "engine/mem.h"
#include "engine/util.h"

struct err;

/* Put it at BOARD_EBDA_GPA. Errors: -EFAULT no RAM there. */
int mptable_write(const struct mem *mem, struct err *err) must_check;
