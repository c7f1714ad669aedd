/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/msi.h"

#include <sys/ioctl.h>

#include "engine/err.h"
#include "engine/vm.h"

/* KVM answers with the number of CPUs, or EPERM when none is addressed. */
bool msi_send(const struct vm *vm, struct msi msg)
{
	struct kvm_msi m = { .address_lo = msg.address, .data = msg.data };

	return ioctl(vm->fd, KVM_SIGNAL_MSI, &m) > 0;
}

int msi_set_routes(const struct vm *vm, const struct msi pins[IRQ_PINS], struct err *err)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[IRQ_PINS];
	} routes = { 0 };

	for (uint32_t i = 0; i < IRQ_PINS; i++) {
		if (pins[i].data == 0)
			continue;
		routes.entries[routes.head.nr++] = (struct kvm_irq_routing_entry){
			.gsi = i,
			.type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = pins[i].address, .data = pins[i].data },
		};
	}
	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, &routes) < 0)
		return err_sys(err, "KVM_SET_GSI_ROUTING of %u routes", routes.head.nr);
	return 0;
}
