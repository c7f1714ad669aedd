/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/irq.h"

#include "engine/vm.h"

void irq_set(const struct vm *vm, uint32_t gsi, bool level)
{
	if (vm->irq_chip.set)
		vm->irq_chip.set(vm->irq_chip.dev, gsi, level);
}

void irq_pulse(const struct vm *vm, uint32_t gsi)
{
	irq_set(vm, gsi, true);
	irq_set(vm, gsi, false);
}

void irq_eoi(const struct vm *vm, uint8_t vector)
{
	if (vm->irq_chip.eoi)
		vm->irq_chip.eoi(vm->irq_chip.dev, vector);
}
