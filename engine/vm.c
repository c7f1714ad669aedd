/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/err.h"
#include "engine/msr_filter.h"
#include "engine/vcpu_msrs.h"

/* Three pages that VMX needs for real mode, inside the hole for devices. Source: KVM API
 * document, KVM_SET_TSS_ADDR; the address is the one everybody uses. */
#define VMX_TSS_GPA 0xfffbd000ul

static const struct state_field vm_state_fields[] = {
	STATE_FIELD(struct vm_state, clock_ns),
};
const struct state_desc vm_state_desc =
	STATE_DESC("vm.state", 1, struct vm_state, vm_state_fields);

int vm_add_slot(struct vm *vm, gpa_t gpa, uint64_t size, void *host, struct err *err)
{
	struct kvm_userspace_memory_region slot = {
		.slot = vm->nslots,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return err_sys(err,
			       "KVM_SET_USER_MEMORY_REGION %u at 0x%" PRIx64 ", 0x%" PRIx64
			       " bytes",
			       slot.slot, gpa, size);
	vm->nslots++;
	return 0;
}

static int add_ram(struct vm *vm, struct err *err)
{
	int ret = vm->ram_fd >= 0 ? mem_map_file(&vm->mem, vm->ram_fd, err)
				  : mem_map(&vm->mem, err);

	for (uint32_t i = 0; i < vm->mem.nregions && ret == 0; i++) {
		const struct mem_region *r = &vm->mem.regions[i];

		ret = vm_add_slot(vm, r->gpa, r->size, r->host, err);
	}
	return ret;
}

static int add_devices(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
	if (cfg->ndevices > VM_MAX_DEVICES)
		return err_set(err, ENOSPC, "%u devices, at most %u fit", cfg->ndevices,
			       VM_MAX_DEVICES);
	for (uint32_t i = 0; i < cfg->ndevices; i++) {
		struct device *dev = device_create(&cfg->devices[i], vm, err);

		if (!dev)
			return -EIO;
		vm->devices[vm->ndevices++] = dev;
	}
	return 0;
}

static int connect_devices(struct vm *vm, struct err *err)
{
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		struct device *dev = vm->devices[i];
		int ret = dev->type->connect ? dev->type->connect(dev, err) : 0;

		if (ret < 0)
			return err_wrap(err, ret, "device %s", dev->type->name);
	}
	return worker_start(&vm->worker, err);
}

int vm_drain(struct vm *vm, struct err *err)
{
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		struct device *dev = vm->devices[i];
		int ret = dev->type->drain ? dev->type->drain(dev, err) : 0;

		if (ret < 0)
			return err_wrap(err, ret, "device %s", dev->type->name);
	}
	return 0;
}

int vm_enable_split_irqchip(int fd, struct err *err)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { IRQ_PINS } };

	if (ioctl(fd, KVM_ENABLE_CAP, &cap) < 0)
		return err_sys(err, "KVM_CAP_SPLIT_IRQCHIP");
	return 0;
}

static int add_vcpus(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
	int ret = 0;

	for (uint32_t i = 0; i < cfg->nvcpus && ret == 0; i++) {
		vm->nvcpus++; /* also when it fails: vm_destroy takes it apart */
		ret = vcpu_create(&vm->vcpus[i], vm, i, cfg->cpuid, err);
	}
	return ret;
}

static int build(struct vm *vm, const struct vm_config *cfg, struct err *err)
{
	int ret;

	vm->fd = kvm_create_vm(vm->kvm, err);
	if (vm->fd < 0)
		return vm->fd;
	if (vm->kvm->kind == KVM_KIND_VMX && ioctl(vm->fd, KVM_SET_TSS_ADDR, VMX_TSS_GPA) < 0)
		return err_sys(err, "KVM_SET_TSS_ADDR");
	/* The filter and every slot, RAM's and the devices', come before the irqchip: from
	 * Linux 6.18 on a change of either after it waits for an SRCU grace period (7 ms). The
	 * irqchip is split, because taking down an in-kernel PIC and IOAPIC costs 15 ms (design
	 * notes). */
	ret = msr_filter_set(vm->fd, vm->kvm->msrs, vm->kvm->nmsrs, err);
	vm->ram_fd = cfg->ram_fd;
	if (ret == 0)
		ret = add_ram(vm, err);
	if (ret == 0)
		ret = add_devices(vm, cfg, err);
	if (ret == 0)
		ret = vm_enable_split_irqchip(vm->fd, err);
	if (ret == 0)
		ret = add_vcpus(vm, cfg, err);
	return ret < 0 ? ret : connect_devices(vm, err);
}

int vm_create(struct vm *vm, const struct kvm *kvm, const struct vm_config *cfg,
	      struct err *err)
{
	int ret;

	if (cfg->nvcpus != 1)
		return err_set(err, ERR_UNFIT, "%u vCPUs: this version runs 1", cfg->nvcpus);
	memset(vm, 0, sizeof(*vm));
	vm->kvm = kvm;
	vm->fd = -1;
	vm->mem = cfg->mem;
	for (uint32_t i = 0; i < MEM_MAX_REGIONS; i++)
		vm->mem.regions[i].host = NULL;
	vm->mmio.name = "mmio";
	vm->pio.name = "pio";
	worker_init(&vm->worker);
	ret = build(vm, cfg, err);
	if (ret < 0)
		vm_destroy(vm);
	return ret;
}

void vm_destroy(struct vm *vm)
{
	worker_stop(&vm->worker);
	while (vm->nvcpus > 0)
		vcpu_destroy(&vm->vcpus[--vm->nvcpus]);
	if (vm->fd >= 0)
		close(vm->fd);
	vm->fd = -1;
	while (vm->ndevices > 0)
		device_destroy(vm->devices[--vm->ndevices]);
	mem_unmap(&vm->mem);
}

struct device *vm_device(const struct vm *vm, const struct device_type *type)
{
	for (uint32_t i = 0; i < vm->ndevices; i++) {
		if (vm->devices[i]->type == type)
			return vm->devices[i];
	}
	return NULL;
}

int vm_restrict(const struct vm *vm, const struct vcpu_state *s, struct err *err)
{
	uint32_t indices[KVM_MSRS_MAX], n = MIN(s->msrs.n, KVM_MSRS_MAX);

	if (vcpu_msrs_hold_all(vm->kvm, &s->msrs))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		indices[i] = s->msrs.entries[i].index;
	return msr_filter_set(vm->fd, indices, n, err);
}

/* How far the TSC has gone since @tsc was saved or, with that value, set. */
static uint64_t ns_since(const struct vcpu_tsc *tsc, const struct vcpu_tsc_now *now)
{
	if (tsc->khz == 0 || now->guest <= tsc->value)
		return 0;
	return (uint64_t)clock_scale_ns(clock_scale_of(tsc->khz), now->guest - tsc->value);
}

int vm_state_save(const struct vm *vm, const struct vcpu_tsc *tsc, struct vm_state *s,
		  struct err *err)
{
	struct kvm_clock_data data = { 0 };
	struct vcpu_tsc_now now;
	int ret;

	if (ioctl(vm->fd, KVM_GET_CLOCK, &data) < 0)
		return err_sys(err, "KVM_GET_CLOCK");
	ret = vcpu_tsc_read(vm->vcpus[0].fd, &now, err);
	if (ret < 0)
		return ret;
	s->clock_ns = data.clock - MIN(data.clock, ns_since(tsc, &now));
	return 0;
}

static int set_clock(const struct vm *vm, uint64_t clock_ns, struct err *err)
{
	struct kvm_clock_data data = { .clock = clock_ns };

	return ioctl(vm->fd, KVM_SET_CLOCK, &data) < 0 ? err_sys(err, "KVM_SET_CLOCK") : 0;
}

int vm_state_load(const struct vm *vm, const struct vm_state *s, struct err *err)
{
	return set_clock(vm, s->clock_ns, err);
}

int vm_clock_align(const struct vm *vm, const struct vm_state *s, const struct vcpu_state *v,
		   const struct vcpu_tsc_now *now, struct err *err)
{
	uint64_t later;

	if (vm->kvm->quirks & QUIRK_TSC_FIXED || !vcpu_msrs_have_kvmclock(&v->msrs))
		return 0;
	later = (uint64_t)(clock_monotonic() - now->host_ns);
	return set_clock(vm, s->clock_ns + ns_since(&v->tsc, now) + later, err);
}
