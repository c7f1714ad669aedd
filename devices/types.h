/* SPDX-License-Identifier: Apache-2.0 */
/* types.h - every device model there is, and which of them a machine has. */
#pragma once

#include "engine/vm.h"

/* In restore order; NULL at the end. */
extern const struct device_type *const device_types[];

/* The devices of one machine, in restore order. */
struct device_list {
	uint32_t n;
	const struct device_type *types[VM_MAX_DEVICES];
};

/* The type of that name; NULL: there is none. */
const struct device_type *device_type_find(const char *name);

/* Append @n devices of @type. Errors: -ENOSPC. */
int device_list_add(struct device_list *l, const struct device_type *type, uint32_t n,
		    struct err *err) must_check;

bool device_list_equal(const struct device_list *a, const struct device_list *b);
