/* SPDX-License-Identifier: Apache-2.0 */
#include "snapshot/kind.h"

#include <assert.h>
#include <string.h>

#include "devices/ged.h"
#include "devices/i8042.h"
#include "devices/ioapic.h"
#include "devices/mailbox.h"
#include "devices/rtc.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_rng.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/pc_memory.h"
#include "guest/abi.h"
#include "snapshot/machine.h"

static struct mem one_region(uint64_t size)
{
	return (struct mem){ .nregions = 1, .regions[0] = { .gpa = 0, .size = size } };
}

static const struct device_type *const only_mailbox[] = { &mailbox_type, NULL };
static const struct device_type *const none[] = { NULL };
/* clang-format off */
static const struct device_type *const board[] = {
	&mailbox_type, &ioapic_type, &serial_type, &i8042_type, &rtc_type, &ged_type,
	&vmgenid_type, &vmclock_type, NULL,
};
static const struct device_type *const others[] = {
	&virtio_rng_type, &virtio_console_type, NULL,
};
/* clang-format on */

/* guest/abi.h's layout: one region. */
const struct kind kind_kindling = {
	.name = "kindling",
	.ram_min = ABI_RAM_MIN_SIZE,
	.ram_max = ABI_RAM_MAX_SIZE,
	.ram_default = 64ull << 20,
	.layout = one_region,
	.devices = only_mailbox,
	.after = none,
};

const struct kind kind_linux = {
	.name = "linux",
	.ram_min = 32ull << 20,	 /* ours: a small kernel, and room for something */
	.ram_max = 256ull << 30, /* ours */
	.ram_default = 128ull << 20,
	.layout = pc_memory_layout,
	.devices = board,
	.after = others,
};

static const struct kind *const kinds[] = { &kind_kindling, &kind_linux };

const struct kind *kind_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i]->name, name) == 0)
			return kinds[i];
	}
	return NULL;
}

bool kind_has_layout(const struct kind *k, const struct mem *mem)
{
	uint64_t size = mem_size(mem);
	struct mem expected;

	if (size < k->ram_min || size > k->ram_max)
		return false;
	expected = k->layout(size);
	return mem_same_layout(mem, &expected);
}

static int add_all(struct device_list *list, const struct device_type *const *types,
		   struct err *err)
{
	int ret = 0;

	for (; *types && ret == 0; types++)
		ret = device_list_add(list, *types, 1, err);
	return ret;
}

int kind_devices(const struct kind *k, uint32_t ndrives, struct device_list *list,
		 struct err *err)
{
	int ret;

	*list = (struct device_list){ 0 };
	ret = add_all(list, k->devices, err);
	if (ret == 0)
		ret = device_list_add(list, &virtio_blk_type, ndrives, err);
	return ret < 0 ? ret : add_all(list, k->after, err);
}

void kind_shape(const struct kind *k, const struct kvm *kvm, const struct cpuid *cpuid,
		uint64_t ram_size, uint32_t ndrives, struct shape *shape)
{
	int ret;

	*shape = (struct shape){
		.mem = k->layout(ram_size),
		.nvcpus = 1,
		.tsc_khz = kvm->tsc_khz,
		.xsave_size = kvm->xsave_size,
		.xcr0 = kvm->xcr0,
		.cpuid = cpuid,
	};
	ret = kind_devices(k, ndrives, &shape->devices, NULL);
	assert(ret == 0); /* a board has room for all of these */
}
