/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h - what timer.c reports to tests/kvm_timer.c. All times are the guest's TSC. */
#pragma once

#include <stdint.h>

#define TIMER_DELAY_TICKS 300000000ull /* TSC ticks: 115 ms at 2.6 GHz */
#define TIMER_DELAY_COUNT 115000000ull /* KVM's APIC bus runs at 1 GHz: 115 ms */

struct timer_report {
	uint64_t armed_tsc;
	uint64_t frozen_tsc; /* just before NEXT */
	uint64_t thawed_tsc; /* just after it */
	uint64_t fired_tsc;  /* in the interrupt handler */
};
