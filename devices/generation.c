/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/generation.h"

#include "devices/ged.h"
#include "devices/vmclock.h"
#include "devices/vmgenid.h"
#include "engine/vm.h"

int generation_begin(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		     struct err *err)
{
	int ret = vmgenid_write(vm, err);

	return ret < 0 ? ret : vmclock_write(vm, now, tsc_khz, err);
}

int generation_renew(const struct vm *vm, struct vcpu_tsc_now now, uint32_t tsc_khz,
		     struct err *err)
{
	uint32_t events = (vm_device(vm, &vmgenid_type) ? GED_VMGENID : 0) |
			  (vm_device(vm, &vmclock_type) ? GED_VMCLOCK : 0);
	int ret = generation_begin(vm, now, tsc_khz, err);

	/* Once, and last: whoever it wakes finds everything written. */
	if (ret == 0 && events)
		ged_post(vm, events);
	return ret;
}
