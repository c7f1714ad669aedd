/* SPDX-License-Identifier: Apache-2.0 */
/* rewind_verify.c - is a machine that was rewound what its template says, byte for byte? */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/err.h"
#include "snapshot/io.h"
#include "snapshot/machine.h"
#include "snapshot/machine_state.h"
#include "snapshot/rewind.h"
#include "snapshot/rewind_exempt.h"
#include "snapshot/template.h"

/* ---- memory ---- */

/* Does each byte that differs have to? */
static bool may_differ(const struct exempt_memory *e, const uint8_t *is, const uint8_t *want,
		       gpa_t gpa)
{
	for (uint32_t i = 0; i < MEM_PAGE_SIZE; i++) {
		if (is[i] != want[i] && !rewind_is_exempt(e, gpa + i))
			return false;
	}
	return true;
}

static int verify_ram(const struct rewind_area *a, gpa_t base, const struct exempt_memory *e,
		      struct err *err)
{
	for (uint64_t i = 0; i < a->npages; i++) {
		uint64_t off = i * MEM_PAGE_SIZE;

		if (memcmp(a->host + off, a->origin + off, MEM_PAGE_SIZE) != 0 &&
		    !may_differ(e, a->host + off, a->origin + off, base + off))
			return err_set(err, EILSEQ,
				       "the page at guest address 0x%" PRIx64
				       " is not the template's",
				       base + off);
	}
	return 0;
}

/* All zeros but what the host has just written there, which lies before event_number. Pages
 * that nobody has touched are zeros: reading them would make them. */
static int verify_window(const struct mailbox *mb, struct err *err)
{
	const size_t written = offsetof(struct abi_mailbox, event_number);
	uint64_t page = 0;
	int ret;

	while ((ret = pages_seek(mb->window_fd, SEEK_DATA, &page, err)) == 1) {
		size_t from = page == 0 ? written : 0;

		if (!io_is_zero(mb->window + page * MEM_PAGE_SIZE + from, MEM_PAGE_SIZE - from))
			return err_set(err, EILSEQ,
				       "page %" PRIu64 " of the mailbox's window is not empty",
				       page);
		page++;
	}
	return ret;
}

static int verify_memory(const struct rewind *r, const struct machine *m, struct err *err)
{
	struct exempt_memory exempt;
	int ret = 0;

	rewind_exempt_memory(&exempt, &m->vm, &r->template->state);
	for (uint32_t i = 0; i < m->vm.mem.nregions && ret == 0; i++)
		ret = verify_ram(&r->areas[i], m->vm.mem.regions[i].gpa, &exempt, err);
	return ret < 0 ? ret : verify_window(m->mailbox, err);
}

/* ---- state ---- */

static size_t section_size(const struct vcpu_section *sec, const struct vcpu_state *v)
{
	const uint8_t *base = (const uint8_t *)v;
	uint32_t n = 1;

	if (sec->count_off)
		memcpy(&n, base + sec->count_off, sizeof(n));
	return (size_t)n * sec->desc->size;
}

/* By name, before the section as a whole. */
static int verify_msrs(const struct vcpu_msrs *is, const struct vcpu_msrs *want,
		       struct err *err)
{
	for (uint32_t i = 0; i < MIN(is->n, want->n); i++) {
		const struct kvm_msr_entry *a = &is->entries[i], *b = &want->entries[i];

		if (a->index == b->index && a->data != b->data)
			return err_set(err, EILSEQ,
				       "MSR 0x%x is 0x%llx, the template has 0x%llx", a->index,
				       a->data, b->data);
	}
	return 0;
}

static int verify_vcpu(const struct vcpu_state *is, const struct vcpu_state *want,
		       struct err *err)
{
	int ret = verify_msrs(&is->msrs, &want->msrs, err);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < vcpu_nsections; i++) {
		const struct vcpu_section *sec = &vcpu_sections[i];
		const uint8_t *a = (const uint8_t *)is + sec->off;
		const uint8_t *b = (const uint8_t *)want + sec->off;
		size_t size = section_size(sec, want), at = 0;

		if (section_size(sec, is) != size)
			return err_set(err, EILSEQ, "%s has %zu bytes, the template has %zu",
				       sec->desc->name, section_size(sec, is), size);
		while (at < size && a[at] == b[at])
			at++;
		if (at < size)
			return err_set(err, EILSEQ, "%s differs at byte %zu (of element %zu)",
				       sec->desc->name, at % sec->desc->size,
				       at / sec->desc->size);
	}
	return 0;
}

static int verify_state(struct machine_state *is, const struct machine_state *want,
			const struct vm *vm, struct err *err)
{
	for (uint32_t i = 0; i < want->nvcpus; i++) {
		int ret;

		rewind_exempt_state(&is->vcpus[i], &want->vcpus[i], vm);
		ret = verify_vcpu(&is->vcpus[i], &want->vcpus[i], err);
		if (ret < 0)
			return err_wrap(err, ret, "vCPU %u", i);
	}
	return 0;
}

/* Saving a machine makes its devices write down their time: what they hold is compared first. */
static int verify_devices(const struct machine *m, const struct machine_state *want,
			  struct err *err)
{
	const uint8_t *state = want->devices;

	for (uint32_t i = 0; i < m->vm.ndevices; i++) {
		const struct device_type *type = m->vm.devices[i]->type;

		if (memcmp(device_state(m->vm.devices[i]), state, type->state.size) != 0)
			return err_set(err, EILSEQ, "device %s is not in the template's state",
				       type->name);
		state += machine_state_room(type);
	}
	return 0;
}

/* Saving made devices write down their time, and what the guest was told of its new generation was
 * in their state: all of that once more. */
static int reload_devices(const struct machine_state *want, struct machine *m, struct err *err)
{
	struct vcpu_tsc_now now;
	int ret = machine_devices_load(want, m, err);

	if (ret == 0)
		ret = vcpu_tsc_read(m->vm.vcpus[0].fd, &now, err);
	return ret < 0 ? ret : machine_renew(m, &now, err);
}

int rewind_verify(struct rewind *r, struct machine *m, struct err *err)
{
	const struct machine_state *want = &r->template->state;
	struct machine_state is = { 0 };
	int ret = verify_devices(m, want, err);

	if (ret == 0)
		ret = verify_memory(r, m, err);
	if (ret == 0)
		ret = machine_state_init(&is, want->nvcpus, &want->list, err);
	if (ret == 0)
		ret = machine_state_save(&is, m, err);
	if (ret == 0)
		ret = verify_state(&is, want, &m->vm, err);
	machine_state_fini(&is);
	if (ret == 0)
		ret = reload_devices(want, m, err);
	return ret < 0 ? err_wrap(err, ret, "verify") : 0;
}
