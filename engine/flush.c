/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/flush.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/trial.h"
#include "engine/x86.h"

static int look(struct trial *t, char *seen, struct err *err)
{
	int ret = trial_run(t, err);

	*seen = t->seen;
	return ret;
}

static int flush(struct trial *t, enum flush_way way, struct err *err)
{
	int fd = t->vm.vcpus[0].fd;
	struct kvm_sregs sregs;

	if (way == FLUSH_BY_SLOT)
		return flush_slots(&t->vm, err);
	if (ioctl(fd, KVM_GET_SREGS, &sregs) < 0)
		return err_sys(err, "KVM_GET_SREGS");
	return flush_vcpu(fd, &sregs, err);
}

/* Have one entry used, and put the other one there. Does the guest notice? It stays in ring 3, so
 * that its looks go through the same translations as a program's. */
static int try_way(struct trial *t, enum flush_way way, bool *works, struct err *err)
{
	char before = 0, after = 0;
	int ret;

	trial_look_at(t, 'B');
	ret = flush_slots(&t->vm, err); /* whatever was tried before */
	if (ret == 0)
		ret = look(t, &before, err);
	trial_look_at(t, 'A');
	if (ret == 0)
		ret = flush(t, way, err);
	if (ret == 0)
		ret = look(t, &after, err);
	*works = before == 'B' && after == 'A';
	return ret;
}

int flush_try(struct trial *t, enum flush_way *way, struct err *err)
{
	static const enum flush_way ways[] = { FLUSH_BY_VCPU, FLUSH_BY_SLOT };
	int ret = trial_enter(t, TRIAL_LOOK, err);

	for (size_t i = 0; i < ARRAY_SIZE(ways) && ret == 0; i++) {
		bool works = false;

		*way = ways[i];
		ret = try_way(t, *way, &works, err);
		if (ret == 0 && works)
			return 0;
	}
	return ret < 0 ? ret
		       : err_set(err, ERR_NO_KVM,
				 "nothing makes KVM here notice that the host changed page "
				 "tables");
}

int flush_vcpu(int fd, const struct kvm_sregs *sregs, struct err *err)
{
	struct kvm_sregs other = *sregs;

	other.cr4 ^= CR4_PGE;
	if (ioctl(fd, KVM_SET_SREGS, &other) < 0 || ioctl(fd, KVM_SET_SREGS, sregs) < 0)
		return err_sys(err, "KVM_SET_SREGS to flush a TLB");
	return 0;
}

/* RAM has the first slots (vm_create). */
int flush_slots(struct vm *vm, struct err *err)
{
	for (uint32_t i = 0; i < vm->mem.nregions; i++) {
		const struct mem_region *r = &vm->mem.regions[i];
		struct kvm_userspace_memory_region slot = { .slot = i,
							    .guest_phys_addr = r->gpa,
							    .userspace_addr =
								    (uintptr_t)r->host };

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, "take memory slot %u away", i);
		slot.memory_size = r->size;
		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
			return err_sys(err, "put memory slot %u back", i);
	}
	return 0;
}
