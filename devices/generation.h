/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generation.h - by what a Linux guest learns that it was restored: VMGenID and VMClock, and the
 * event device that has it look there. A machine without them is left alone. Beside mailbox_renew,
 * while no vCPU runs.
 */
#pragma once

#include <stdint.h>

#include "engine/util.h"
#include "engine/vcpu_state.h"

struct err;
struct vm;

/* generation_begin - before the first instruction after boot: the guest has nothing yet that could
 * be another's. @now: the guest's TSC; @tsc_khz: its rate. Errors: -EIO, -EFAULT. */
int generation_begin(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		     struct err *err) must_check;

/* generation_renew - after a restore or a rewind. The state of vCPUs and devices is loaded: the
 * interrupt goes into it. */
int generation_renew(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		     struct err *err) must_check;
