/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmclock.h - VMClock (uapi linux/vmclock-abi.h, version 1): a page of guest memory that tells what
 * the time is at which count of the TSC, how fast that counts, and whether both may have jumped.
 * Also user space of the guest may map it. Written while no vCPU runs, and never between two
 * restores: the guest's own clocks go on from there. devices/generation.h says when.
 */
#pragma once

#include <stdint.h>

#include "engine/device.h"
#include "engine/vcpu_state.h"

struct err;
struct vm;

#define VMCLOCK_MAGIC	    0x4b4c4356u /* "VCLK" */
#define VMCLOCK_VERSION	    1u
#define VMCLOCK_X86_TSC	    1u
#define VMCLOCK_UTC	    0u
#define VMCLOCK_FREERUNNING 3u /* clock_status: nobody corrects it as it goes */

#define VMCLOCK_HAS_GENERATION	 (1ull << 8) /* generation changes when a snapshot is loaded */
#define VMCLOCK_HAS_NOTIFICATION (1ull << 9) /* an ACPI notification comes with each change */

/* The page, little-endian. What is not told is 0, and its flag is not set. */
struct vmclock_page {
	uint32_t magic, size;
	uint16_t version;
	uint8_t counter, time_type;
	uint32_t sequence;   /* odd: it is being written */
	uint64_t disruption; /* another number: what was learnt of the TSC is void */
	uint64_t flags;
	uint8_t padding[2];
	uint8_t status;
	uint8_t smearing;
	uint16_t tai_offset;
	uint8_t leap;
	uint8_t period_shift; /* period is in 1/2^(64 + period_shift) s */
	uint64_t counter_value, period;
	uint64_t period_error, period_max_error;
	uint64_t time_sec, time_frac; /* at counter_value; time_frac in 1/2^64 s */
	uint64_t time_error_ns, time_max_error_ns;
	uint64_t generation; /* another number: the machine was restored */
};

/* Everything that survives a freeze. */
struct vmclock_state {
	uint64_t gpa; /* where the guest was told to look */
};

struct vmclock {
	struct device dev;
	struct vmclock_state s;
};

extern const struct device_type vmclock_type;

/*
 * vmclock_write - write the page anew, with another generation; nothing where @vm has no such
 * device.
 * @now: the guest's TSC; @tsc_khz: its rate, not 0.
 * Errors: -EIO when the kernel has no randomness to give; -EFAULT no RAM there.
 */
int vmclock_write(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		  struct err *err) must_check;
