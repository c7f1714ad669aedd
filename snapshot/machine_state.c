/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/machine_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/types.h"
#include "engine/err.h"
#include "engine/vcpu_reset.h"
#include "snapshot/format.h"
#include "snapshot/machine.h"

size_t machine_state_room(const struct device_type *type)
{
	return ALIGN_UP((size_t)type->state.size, 8);
}

size_t machine_state_devices_size(const struct device_list *list)
{
	size_t size = 8; /* of a list without devices, too */

	for (uint32_t i = 0; i < list->n; i++)
		size += machine_state_room(list->types[i]);
	return size;
}

int machine_state_init(struct machine_state *s, uint32_t nvcpus, const struct device_list *list,
		       struct err *err)
{
	*s = (struct machine_state){ .nvcpus = nvcpus, .list = *list };
	s->vcpus = calloc(nvcpus, sizeof(*s->vcpus));
	s->devices = calloc(1, machine_state_devices_size(list));
	if (!s->vcpus || !s->devices) {
		machine_state_fini(s);
		return err_set(err, ENOMEM, "no memory for the state of %u vCPUs", nvcpus);
	}
	return 0;
}

int machine_state_init_for(struct machine_state *s, const struct machine *m, struct err *err)
{
	struct device_list list = { .n = m->vm.ndevices };

	for (uint32_t i = 0; i < list.n; i++)
		list.types[i] = m->vm.devices[i]->type;
	return machine_state_init(s, m->vm.nvcpus, &list, err);
}

void machine_state_fini(struct machine_state *s)
{
	free(s->vcpus);
	free(s->devices);
	*s = (struct machine_state){ 0 };
}

static int devices_save(struct machine_state *s, struct machine *m, struct err *err)
{
	uint8_t *to = s->devices;

	for (uint32_t i = 0; i < m->vm.ndevices; i++) {
		struct device *dev = m->vm.devices[i];
		int ret = dev->type->save ? dev->type->save(dev, err) : 0;

		if (ret < 0)
			return err_wrap(err, ret, "device %s", dev->type->name);
		memcpy(to, device_state(dev), dev->type->state.size);
		to += machine_state_room(dev->type);
	}
	return 0;
}

static int vcpus_save(struct machine_state *s, struct machine *m, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < s->nvcpus && ret == 0; i++) {
		ret = vcpu_complete(&m->vm.vcpus[i], err);
		if (ret == 0)
			ret = vcpu_state_save(m->vm.kvm, m->vm.vcpus[i].fd, &s->vcpus[i], err);
		if (ret < 0)
			return err_wrap(err, ret, "vCPU %u", i);
	}
	return 0;
}

int machine_state_save(struct machine_state *s, struct machine *m, struct err *err)
{
	/* First: what is still to come may raise an interrupt. */
	int ret = vm_drain(&m->vm, err);

	if (ret == 0)
		ret = vcpus_save(s, m, err);
	if (ret == 0)
		ret = vm_state_save(&m->vm, &s->vcpus[0].tsc, &s->vm, err);
	return ret < 0 ? ret : devices_save(s, m, err);
}

void machine_state_shape(const struct machine_state *s, const struct mem *mem,
			 struct shape *out)
{
	const struct vcpu_state *v = &s->vcpus[0];

	*out = (struct shape){
		.mem = *mem,
		.nvcpus = s->nvcpus,
		.tsc_khz = v->tsc.khz,
		.xsave_size = v->nxsave * 8,
		.xcr0 = v->xcrs.xcrs[0].value,
		.cpuid = &v->cpuid,
		.devices = s->list,
	};
}

int machine_devices_load(const struct machine_state *s, struct machine *m, struct err *err)
{
	const uint8_t *from = s->devices;

	for (uint32_t i = 0; i < m->vm.ndevices; i++) {
		struct device *dev = m->vm.devices[i];
		int ret;

		memcpy(device_state(dev), from, dev->type->state.size);
		from += machine_state_room(dev->type);
		ret = dev->type->load ? dev->type->load(dev, err) : 0;
		if (ret < 0)
			return err_wrap(err, ret, "device %s", dev->type->name);
	}
	return 0;
}

int machine_state_load(const struct machine_state *s, struct machine *m,
		       struct vcpu_tsc_now *now, struct err *err)
{
	struct vcpu_tsc_now pair = { 0 };
	int ret = vm_state_load(&m->vm, &s->vm, err);

	if (ret == 0)
		ret = vm_restrict(&m->vm, &s->vcpus[0], err);
	for (uint32_t i = 0; i < s->nvcpus && ret == 0; i++) {
		ret = vcpu_restore(&m->vm.vcpus[i], &s->vcpus[i], &pair, err);
		if (ret < 0)
			return err_wrap(err, ret, "vCPU %u", i);
		if (i == 0)
			*now = pair;
	}
	if (ret == 0)
		ret = vm_clock_align(&m->vm, &s->vm, &s->vcpus[0], now, err);
	if (ret < 0)
		return ret;
	worker_lock(&m->vm.worker);
	ret = machine_devices_load(s, m, err);
	worker_unlock(&m->vm.worker);
	return ret;
}

/* Where a section's elements lie in a vCPU's state, and how many there are. */
static void *section_data(const struct vcpu_section *sec, const struct vcpu_state *v)
{
	return (uint8_t *)(uintptr_t)v + sec->off;
}

static uint32_t *section_count(const struct vcpu_section *sec, const struct vcpu_state *v)
{
	return (uint32_t *)(void *)((uint8_t *)(uintptr_t)v + sec->count_off);
}

static int vcpu_encode(const struct vcpu_state *v, uint32_t index, struct state_writer *w,
		       struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < vcpu_nsections && ret == 0; i++) {
		const struct vcpu_section *sec = &vcpu_sections[i];
		uint32_t n = sec->count_off ? *section_count(sec, v) : 1;

		ret = state_writer_add(w, sec->desc, index, section_data(sec, v),
				       (size_t)n * sec->desc->size, err);
	}
	return ret;
}

/* How many devices of the same type come before the @i-th. */
static uint32_t instance_of(const struct device_list *list, uint32_t i)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < i; k++)
		n += list->types[k] == list->types[i];
	return n;
}

int machine_state_encode(const struct machine_state *s, struct state_writer *w, struct err *err)
{
	const uint8_t *dev = s->devices;
	int ret = state_writer_add(w, &vm_state_desc, 0, &s->vm, sizeof(s->vm), err);

	for (uint32_t i = 0; i < s->nvcpus && ret == 0; i++)
		ret = vcpu_encode(&s->vcpus[i], i, w, err);
	for (uint32_t i = 0; i < s->list.n && ret == 0; i++) {
		const struct device_type *t = s->list.types[i];

		ret = state_writer_add(w, &t->state, instance_of(&s->list, i), dev,
				       t->state.size, err);
		dev += machine_state_room(t);
	}
	return ret < 0 ? ret : state_writer_finish(w, err);
}

static int vcpu_decode(struct vcpu_state *v, uint32_t index, struct state_file *f,
		       struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < vcpu_nsections && ret >= 0; i++) {
		const struct vcpu_section *sec = &vcpu_sections[i];

		if (sec->count_off == 0) {
			ret = state_file_load(f, sec->desc, index, section_data(sec, v), err);
			continue;
		}
		ret = state_file_load_array(f, sec->desc, index, section_data(sec, v),
					    sec->desc->max_count, err);
		if (ret >= 0)
			*section_count(sec, v) = (uint32_t)ret;
	}
	return MIN(ret, 0);
}

int machine_state_decode(struct machine_state *s, struct state_file *f, struct err *err)
{
	uint8_t *dev = s->devices;
	int ret = state_file_load(f, &vm_state_desc, 0, &s->vm, err);

	for (uint32_t i = 0; i < s->nvcpus && ret == 0; i++)
		ret = vcpu_decode(&s->vcpus[i], i, f, err);
	for (uint32_t i = 0; i < s->list.n && ret == 0; i++) {
		const struct device_type *t = s->list.types[i];

		ret = state_file_load(f, &t->state, instance_of(&s->list, i), dev, err);
		dev += machine_state_room(t);
	}
	return ret < 0 ? ret : state_file_finish(f, err);
}

const struct state_desc *machine_state_desc(uint32_t i)
{
	if (i == 0)
		return &vm_state_desc;
	if (--i < vcpu_nsections)
		return vcpu_sections[i].desc;
	i -= vcpu_nsections;
	for (const struct device_type *const *t = device_types; *t; t++) {
		if (i-- == 0)
			return &(*t)->state;
	}
	return NULL;
}
