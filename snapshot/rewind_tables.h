/* SPDX-License-Identifier: Apache-2.0 */
/* rewind_tables.h - which pages of a template its guest uses as page tables. For rewind.c. */
#pragma once

#include <linux/kvm.h>

#include "engine/mem.h"

struct rewind;

/*
 * rewind_tables_mark - walk the tables that CR3 names, of 4 or 5 levels, and set the bits of
 * r->areas[].tables. Entries that lead out of memory are passed over: a guest may have any.
 * @origin: the template's memory, its host pointers into r->memory.
 */
void rewind_tables_mark(struct rewind *r, const struct mem *origin,
			const struct kvm_sregs *sregs);
