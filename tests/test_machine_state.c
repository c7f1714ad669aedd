/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>

#include "devices/mailbox.h"
#include "devices/types.h"
#include "engine/err.h"
#include "snapshot/format.h"
#include "snapshot/machine_state.h"

static const struct device_list list = { .n = 1, .types = { &mailbox_type } };
static struct machine_state state, again;
static struct state_writer writer, other;
static struct err err;

/* A state in which every byte that counts is another. */
static void setup(void)
{
	struct vcpu_state *v;
	uint8_t *bytes;

	cr_assert(eq(int, machine_state_init(&state, 1, &list, &err), 0), "%s", err.text);
	cr_assert(eq(int, machine_state_init(&again, 1, &list, &err), 0), "%s", err.text);
	v = &state.vcpus[0];
	bytes = (uint8_t *)v;
	for (size_t i = 0; i < sizeof(*v); i++)
		bytes[i] = (uint8_t)(i * 167 >> 3);
	v->xcrs.nr_xcrs = 1;
	v->nxsave = 2696 / 8;
	v->msrs.n = 3;
	v->cpuid.n = CPUID_MAX_ENTRIES; /* as many as there is room for */
	state.vm.clock_ns = 0x123456789abcdef0;
	memset(state.devices, 0x5a, device_types[0]->state.size);
	cr_assert(eq(int, machine_state_encode(&state, &writer, &err), 0), "%s", err.text);
}

static void teardown(void)
{
	state_writer_fini(&writer);
	state_writer_fini(&other);
	machine_state_fini(&state);
	machine_state_fini(&again);
}

TestSuite(machine_state, .init = setup, .fini = teardown);

static int decode(const struct state_writer *w)
{
	struct state_file f;

	cr_assert(eq(int, state_file_parse(&f, w->buf, w->len, &err), 0), "%s", err.text);
	return machine_state_decode(&again, &f, &err);
}

Test(machine_state, what_is_encoded_is_decoded)
{
	cr_assert(eq(int, decode(&writer), 0), "%s", err.text);
	cr_expect(eq(u64, again.vm.clock_ns, state.vm.clock_ns));
	cr_expect(
		eq(int, memcmp(again.devices, state.devices, device_types[0]->state.size), 0));
	for (uint32_t i = 0; i < vcpu_nsections; i++) {
		const struct vcpu_section *sec = &vcpu_sections[i];
		const uint8_t *x = (const uint8_t *)&state.vcpus[0];
		const uint8_t *y = (const uint8_t *)&again.vcpus[0];
		uint32_t n = sec->count_off ? (uint32_t)state_int(x + sec->count_off, 4) : 1;

		if (sec->count_off)
			cr_expect(eq(u32, (uint32_t)state_int(y + sec->count_off, 4), n), "%s",
				  sec->desc->name);
		cr_expect(eq(int,
			     memcmp(x + sec->off, y + sec->off, (size_t)n * sec->desc->size),
			     0),
			  "%s", sec->desc->name);
	}
}

/* Of a file: the VM's, a vCPU's, and the first device's that there is. */
static uint32_t nsections(void)
{
	return 1 + vcpu_nsections + list.n;
}

/* Sections in the file are those of the list, in its order. */
Test(machine_state, the_file_holds_every_section_of_the_list)
{
	struct state_section s;
	struct state_file f;
	size_t off = 0;
	uint32_t n = 0;

	cr_assert(eq(int, state_file_parse(&f, writer.buf, writer.len, &err), 0));
	for (; state_file_next(&f, &off, &s) == 1; n++) {
		const struct state_desc *d = machine_state_desc(n);

		cr_assert(ne(ptr, (void *)d, NULL));
		cr_expect(eq(str, (char *)s.name, (char *)d->name));
		cr_expect(eq(u32, s.flags, STATE_SECTION_REQUIRED), "%s", d->name);
	}
	cr_expect(eq(u32, n, nsections()));
}

/* Copy the file into @other without section @skip; the name of that one. */
static const char *copy_without(uint32_t skip)
{
	const char *skipped = NULL;
	struct state_section s;
	struct state_file f;
	size_t off = 0;

	state_writer_fini(&other);
	other = (struct state_writer){ 0 };
	cr_assert(eq(int, state_file_parse(&f, writer.buf, writer.len, &err), 0));
	for (uint32_t i = 0; state_file_next(&f, &off, &s) == 1; i++) {
		if (i == skip)
			skipped = s.name;
		else
			cr_assert(eq(int, state_writer_put(&other, &s, &err), 0));
	}
	return skipped;
}

Test(machine_state, a_file_without_any_one_section_is_damaged)
{
	for (uint32_t i = 0; i < nsections(); i++) {
		const char *name = copy_without(i);

		cr_assert(eq(int, state_writer_finish(&other, &err), 0));
		cr_expect(eq(int, decode(&other), -ERR_DAMAGED), "%s", name);
		cr_expect(ne(ptr, strstr(err.text, name), NULL), "%s: %s", name, err.text);
	}
}

static int decode_with(struct state_section s)
{
	copy_without(UINT32_MAX);
	cr_assert(eq(int, state_writer_put(&other, &s, &err), 0), "%s", err.text);
	cr_assert(eq(int, state_writer_finish(&other, &err), 0), "%s", err.text);
	return decode(&other);
}

Test(machine_state, sections_of_a_later_version_are_refused_unless_they_are_optional)
{
	struct state_section s = { .name = "dev.floppy", .version = 1, .data = "x", .len = 1 };

	cr_expect(eq(int, decode_with(s), 0), "%s", err.text);
	s.flags = STATE_SECTION_REQUIRED;
	cr_expect(eq(int, decode_with(s), -ERR_UNFIT));
	cr_expect(ne(ptr, strstr(err.text, "dev.floppy"), NULL), "%s", err.text);
	s.name = "vcpu.regs"; /* of a second vCPU, that the manifest did not name */
	s.instance = 1;
	cr_expect(eq(int, decode_with(s), -ERR_UNFIT));
	cr_expect(ne(ptr, strstr(err.text, "vcpu.regs"), NULL), "%s", err.text);
}

Test(machine_state, a_value_that_cannot_be_is_named)
{
	state.vcpus[0].xcrs.nr_xcrs = KVM_MAX_XCRS + 1;
	cr_assert(eq(int, machine_state_encode(&state, &other, &err), 0), "%s", err.text);
	cr_expect(eq(int, decode(&other), -ERR_DAMAGED));
	cr_expect(ne(ptr, strstr(err.text, "vcpu.xcrs.nr_xcrs is 17, largest allowed is 16"),
		     NULL),
		  "%s", err.text);
}
