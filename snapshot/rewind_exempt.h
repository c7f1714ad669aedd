/* SPDX-License-Identifier: Apache-2.0 */
/* rewind_exempt.h - what of a machine that was rewound has to differ from its template, or may. */
#pragma once

#include <stdbool.h>

#include "engine/vcpu_state.h"
#include "engine/vm.h"

/* Guest memory that the host has written since: generation and clocks. */
struct exempt_range {
	gpa_t gpa;
	uint64_t size;
};
#define EXEMPT_MAX_RANGES (2 + 3 * VM_MAX_VCPUS)

struct exempt_memory {
	uint32_t n;
	struct exempt_range ranges[EXEMPT_MAX_RANGES];
};

struct machine_state;
void rewind_exempt_memory(struct exempt_memory *e, const struct vm *vm,
			  const struct machine_state *want);
bool rewind_is_exempt(const struct exempt_memory *e, gpa_t gpa);

/* Take over from @want what has to differ, or may. */
void rewind_exempt_state(struct vcpu_state *is, const struct vcpu_state *want,
			 const struct vm *vm);
