/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ioapic - a guest that writes anything to the IOAPIC, lines that move as they like, EOIs of
 * nothing, and states of an enemy. msi_send and its kin are this file's: a CPU that is on or off.
 *
 * The corpus is one input that uses the device as Linux does.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "devices/board.h"
#include "devices/ioapic.h"
#include "engine/msi.h"
#include "engine/vm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct {
	bool is_off;
	struct msi pins[IRQ_PINS];
} kvm;

static struct vm *vm;
static struct ioapic *io;

/* Nothing is sent that no entry says, or that a mask should have held back. */
bool msi_send(const struct vm *to, struct msi msg)
{
	bool is_meant = false;

	assert(to == vm && (msg.address & ~0xff004u) == MSI_ADDRESS);
	for (uint32_t pin = 0; pin < IRQ_PINS; pin++) {
		uint64_t entry = io->s.redirection[pin];

		is_meant |= !(entry & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)) &&
			    io->s.lines & 1u << pin && msg.data == (entry & 0x87ff);
	}
	assert(is_meant);
	return !kvm.is_off;
}

int msi_is_held(const struct vm *of, uint8_t vector, struct err *err)
{
	(void)of;
	(void)err;
	return vector & 1;
}

int msi_set_routes(const struct vm *to, const struct msi pins[IRQ_PINS], struct err *err)
{
	assert(to == vm && memcmp(kvm.pins, pins, sizeof(kvm.pins)) != 0);
	(void)err;
	memcpy(kvm.pins, pins, sizeof(kvm.pins));
	return 0;
}

/* What must hold whatever happened. */
static void check(void)
{
	struct ioapic_state again;

	assert(state_load(&ioapic_type.state, &again, &io->s, sizeof(io->s), NULL) == 0);
	for (uint32_t pin = 0; pin < IRQ_PINS; pin++) {
		uint64_t entry = io->s.redirection[pin];

		assert(kvm.pins[pin].data ==
		       (entry & IOAPIC_LEVEL ? (uint32_t)entry & 0x87ff : 0));
	}
}

/* The next byte; 0 at the end. */
static uint8_t next(const uint8_t **data, size_t *len)
{
	if (*len == 0)
		return 0;
	(*len)--;
	return *(*data)++;
}

static uint64_t next_number(const uint8_t **data, size_t *len)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value |= (uint64_t)next(data, len) << 8 * i;
	return value;
}

static void access_page(const uint8_t **data, size_t *len, bool is_write)
{
	uint8_t how = next(data, len);
	uint64_t value = next_number(data, len);
	/* Mostly where registers are, and 4 bytes. */
	uint64_t off = how & 0x80 ? value % (MEM_PAGE_SIZE - 8) : (how & 7u) * 0x10u;
	uint32_t size = how & 0x40 ? 1u << (how >> 4 & 3) : 4;

	assert(bus_access(&vm->mmio, BOARD_IOAPIC_GPA + off, &value, size, is_write) == 0);
}

static void write_entry(const uint8_t **data, size_t *len)
{
	uint32_t reg = IOAPIC_REDIRECTION + next(data, len) % 64u;
	uint32_t value = (uint32_t)next_number(data, len);

	assert(bus_access(&vm->mmio, BOARD_IOAPIC_GPA + IOAPIC_SELECT, &reg, 4, true) == 0);
	assert(bus_access(&vm->mmio, BOARD_IOAPIC_GPA + IOAPIC_WINDOW, &value, 4, true) == 0);
}

static void load_state(const uint8_t **data, size_t *len)
{
	struct ioapic_state s = io->s;
	size_t at = next(data, len) % IRQ_PINS;

	s.redirection[at] = next_number(data, len);
	s.lines ^= (uint32_t)next_number(data, len);
	s.select = next(data, len);
	if (state_load(&ioapic_type.state, &io->s, &s, sizeof(s), NULL) == 0)
		assert(ioapic_type.load(&io->dev, NULL) == 0);
}

static void step(const uint8_t **data, size_t *len)
{
	uint8_t what = next(data, len);

	switch (what & 7) {
	case 0:
	case 1:
		access_page(data, len, what & 1);
		break;
	case 2:
		write_entry(data, len);
		break;
	case 3:
		irq_set(vm, next(data, len) % IRQ_PINS, what & 8);
		break;
	case 4:
		irq_eoi(vm, next(data, len));
		break;
	case 5:
		load_state(data, len);
		break;
	case 6:
		kvm.is_off = what & 8;
		break;
	default:
		assert(ioapic_type.drain(&io->dev, NULL) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const struct device_spec spec = { .type = &ioapic_type };
	struct device *dev;

	memset(&kvm, 0, sizeof(kvm));
	vm = calloc(1, sizeof(*vm));
	assert(vm);
	vm->mmio.name = "mmio";
	dev = device_create(&spec, vm, NULL);
	assert(dev);
	io = container_of(dev, struct ioapic, dev);
	while (len > 0) {
		step(&data, &len);
		check();
	}
	device_destroy(dev);
	free(vm);
	return 0;
}
