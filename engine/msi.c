/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/msi.h"

#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/vm.h"

/* Registers of a bit for each vector, 32 in every 16 bytes: SDM vol. 3A, table 11-1. */
#define APIC_ISR 0x100u
#define APIC_IRR 0x200u

/* KVM answers with the number of CPUs, or EPERM when none is addressed. */
bool msi_send(const struct vm *vm, struct msi msg)
{
	struct kvm_msi m = { .address_lo = msg.address, .data = msg.data };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &m) > 0;
}

static bool has_bit(const struct kvm_lapic_state *apic, uint32_t reg, uint8_t vector)
{
	uint8_t byte = (uint8_t)apic->regs[reg + vector / 32u * 16 + vector % 32u / 8];

	return byte & 1u << vector % 8;
}

int msi_is_held(const struct vm *vm, uint8_t vector, struct err *err)
{
	struct kvm_lapic_state apic;

	for (uint32_t i = 0; i < vm->nvcpus; i++) {
		if (ioctl(vm->vcpus[i].fd, KVM_GET_LAPIC, &apic) < 0)
			return err_sys(err, "KVM_GET_LAPIC of vCPU %u", i);
		if (has_bit(&apic, APIC_ISR, vector) || has_bit(&apic, APIC_IRR, vector))
			return 1;
	}
	return 0;
}

int msi_set_routes(const struct vm *vm, const struct msi pins[IRQ_PINS], struct err *err)
{
	struct { /* a struct kvm_irq_routing with room */
		uint32_t n;
		uint32_t flags;
		struct kvm_irq_routing_entry entries[IRQ_PINS];
	} routes = { 0 };

	for (uint32_t i = 0; i < IRQ_PINS; i++) {
		if (pins[i].data == 0)
			continue;
		routes.entries[routes.n++] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = pins[i].address, .data = pins[i].data },
		};
	}
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routes) < 0)
		return err_sys(err, "KVM_SET_GSI_ROUTING of %u routes", routes.n);
	return 0;
}
