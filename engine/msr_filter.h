/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msr_filter.h - which MSRs a guest may write to: those that its state holds, so that a rewind
 * takes back whatever it wrote. KVM keeps more than it lists (machine-check banks, MTRRs); a
 * write to anything else is #GP. The host's own KVM_SET_MSRS is not filtered, reading is free,
 * and the x2APIC's MSRs, which no filter covers, are part of the local APIC's state.
 * Source: KVM API document, KVM_X86_SET_MSR_FILTER.
 */
#pragma once

#include <stdint.h>

#include "engine/util.h"

struct err;

/*
 * msr_filter_set - let guests of this VM write to the @n MSRs of @indices, and to those that are
 * part of other state or have none. Best before the VM has an irqchip: from Linux 6.18 on it may
 * wait milliseconds for a grace period afterwards (vm.c).
 * Cost: 8 us. Errors: what the ioctl says.
 */
int msr_filter_set(int vm_fd, const uint32_t *indices, uint32_t n, struct err *err) must_check;
