/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmgenid.h - the Virtual Machine Generation ID (Microsoft, "Virtual Machine Generation ID", 2018):
 * 16 bytes in guest memory that are others after each restore. Linux stirs them into its random
 * generator. Written while no vCPU runs; never read back. devices/generation.h says when.
 */
#pragma once

#include <stdint.h>

#include "engine/device.h"

struct err;
struct vm;

#define VMGENID_SIZE 16u

/* Everything that survives a freeze. */
struct vmgenid_state {
	uint64_t gpa; /* where the guest was told to look */
};

struct vmgenid {
	struct device dev;
	struct vmgenid_state s;
};

extern const struct device_type vmgenid_type;

/* vmgenid_write - put a fresh id there; nothing where @vm has no such device.
 * Errors: -EIO when the kernel has no randomness to give; -EFAULT no RAM there. */
int vmgenid_write(const struct vm *vm, struct err *err) must_check;
