/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "devices/types.h"
#include "engine/err.h"
#include "engine/vcpu_state.h"
#include "snapshot/machine_state.h"

static uint32_t count_descs(void)
{
	uint32_t n = 0;

	while (machine_state_desc(n))
		n++;
	return n;
}

Test(vcpu_tables, every_section_covers_its_struct)
{
	const struct state_desc *d;
	struct err err = { 0 };

	for (uint32_t i = 0; (d = machine_state_desc(i)) != NULL; i++)
		cr_expect(eq(int, state_covers(d, &err), 0), "%s", err.text);
}

Test(vcpu_tables, sections_have_names_of_their_own_that_fit_the_file)
{
	const struct state_desc *a, *b;

	for (uint32_t i = 0; (a = machine_state_desc(i)) != NULL; i++) {
		cr_expect(gt(sz, strlen(a->name), 0));
		cr_expect(le(sz, strlen(a->name), 15), "%s", a->name);
		cr_expect(ge(u32, a->version, 1), "%s", a->name);
		for (uint32_t k = 0; k < i; k++) {
			b = machine_state_desc(k);
			cr_expect(ne(str, (char *)a->name, (char *)b->name));
		}
	}
}

Test(vcpu_tables, the_list_holds_the_vm_every_vcpu_section_and_every_device)
{
	uint32_t ndevices = 0;

	while (device_types[ndevices])
		ndevices++;
	cr_expect(eq(u32, count_descs(), 1 + vcpu_nsections + ndevices));
	cr_expect(eq(ptr, (void *)machine_state_desc(count_descs() + 7), NULL));
}

Test(vcpu_tables, both_orders_move_every_part_exactly_once)
{
	struct err err = { 0 };

	cr_expect(eq(int, vcpu_state_orders_check(&err), 0), "%s", err.text);
}

/* Sections lie inside struct vcpu_state, apart from each other, and hold all that counts. */
Test(vcpu_tables, vcpu_sections_do_not_overlap)
{
	for (uint32_t i = 0; i < vcpu_nsections; i++) {
		const struct vcpu_section *a = &vcpu_sections[i];
		uint32_t n = a->count_off ? a->desc->max_count : 1;
		uint64_t end = a->off + (uint64_t)n * a->desc->size;

		cr_expect(ge(u32, n, 1), "%s", a->desc->name);
		cr_expect(le(u64, end, sizeof(struct vcpu_state)), "%s", a->desc->name);
		cr_expect(eq(u32, a->off % 4, 0), "%s", a->desc->name);
		for (uint32_t k = 0; k < vcpu_nsections; k++) {
			const struct vcpu_section *b = &vcpu_sections[k];

			cr_expect(eq(int, k != i && b->off >= a->off && b->off < end, 0),
				  "%s overlaps %s", a->desc->name, b->desc->name);
			cr_expect(eq(int,
				     b->count_off != 0 && b->count_off >= a->off &&
					     b->count_off < end,
				     0),
				  "%s holds the count of %s", a->desc->name, b->desc->name);
		}
	}
}
