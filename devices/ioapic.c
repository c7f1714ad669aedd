/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/ioapic.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOG "ioapic"
#include "devices/board.h"
#include "engine/err.h"
#include "engine/log.h"
#include "engine/msi.h"
#include "engine/vm.h"

#define VERSION	    (0x20u | (IRQ_PINS - 1) << 16)
#define ID_SHIFT    24
#define ID_MAX	    15u
#define WINDOW_SIZE 4u /* bytes of every register */

/* Places in an entry. */
#define MODE_SHIFT 8
#define DEST_SHIFT 56

/* Modes of delivery that there are, a bit each: fixed, lowest priority, SMI, NMI, INIT. Not
 * ExtINT: there is no 8259. */
#define MODES 0x37u

/* What makes an interrupt what it is, and what the guest can write. */
#define MESSAGE	 (IOAPIC_DEST | IOAPIC_LEVEL | IOAPIC_LOGICAL | IOAPIC_MODE | IOAPIC_VECTOR)
#define WRITABLE (MESSAGE | IOAPIC_MASKED | IOAPIC_LOW)

static const struct state_field ioapic_fields[] = {
	STATE_ARRAY(struct ioapic_state, redirection),
	STATE_FIELD_MAX(struct ioapic_state, lines, (1u << IRQ_PINS) - 1),
	STATE_FIELD_MAX(struct ioapic_state, select, UINT8_MAX),
	STATE_FIELD_MAX(struct ioapic_state, id, ID_MAX),
};

static struct ioapic *ioapic_of(struct device *dev)
{
	return container_of(dev, struct ioapic, dev);
}

static bool is_up(const struct ioapic *io, uint32_t pin)
{
	return io->s.lines & 1u << pin;
}

/* An entry and a message have these in different places, the lower half of the data in the same. */
static struct msi message(uint64_t entry)
{
	return (struct msi){
		.address = MSI_ADDRESS | (uint32_t)(entry >> DEST_SHIFT) << MSI_DEST_SHIFT |
			   (entry & IOAPIC_LOGICAL ? MSI_LOGICAL : 0),
		.data = (uint32_t)(entry & (IOAPIC_LEVEL | IOAPIC_MODE | IOAPIC_VECTOR)),
	};
}

/* What the CPU took of a level-triggered pin is on until it says that it is done with it. */
static void deliver(struct ioapic *io, uint32_t pin)
{
	uint64_t *entry = &io->s.redirection[pin];
	uint32_t mode = (uint32_t)((*entry & IOAPIC_MODE) >> MODE_SHIFT);

	if (!(MODES & 1u << mode) || !msi_send(io->dev.vm, message(*entry))) {
		io->refused++;
		return;
	}
	io->delivered++;
	if (*entry & IOAPIC_LEVEL)
		*entry |= IOAPIC_REMOTE_IRR;
}

/* Edges at a masked pin are lost: 82093AA, 3.2.4. */
static void raise_line(struct ioapic *io, uint32_t pin)
{
	uint64_t entry = io->s.redirection[pin];
	bool is_new = entry & IOAPIC_LEVEL || !is_up(io, pin);

	io->s.lines |= 1u << pin;
	if (is_new && !(entry & (IOAPIC_MASKED | IOAPIC_REMOTE_IRR)))
		deliver(io, pin);
	else
		io->coalesced++;
}

/* A level-triggered pin that is up interrupts whenever nothing is in the way any more. */
static void serve_level(struct ioapic *io, uint32_t pin)
{
	const uint64_t bits = IOAPIC_LEVEL | IOAPIC_MASKED | IOAPIC_REMOTE_IRR;

	if (is_up(io, pin) && (io->s.redirection[pin] & bits) == IOAPIC_LEVEL)
		deliver(io, pin);
}

static void ioapic_set(void *dev, uint32_t pin, bool level)
{
	struct ioapic *io = dev;

	pthread_mutex_lock(&io->lock);
	if (level)
		raise_line(io, pin);
	else
		io->s.lines &= ~(1u << pin);
	pthread_mutex_unlock(&io->lock);
}

static void end_of_interrupt(struct ioapic *io, uint8_t vector)
{
	const uint64_t served = vector | IOAPIC_LEVEL | IOAPIC_REMOTE_IRR;

	io->eois++;
	for (uint32_t pin = 0; pin < IRQ_PINS; pin++) {
		uint64_t *entry = &io->s.redirection[pin];

		if ((*entry & (IOAPIC_VECTOR | IOAPIC_LEVEL | IOAPIC_REMOTE_IRR)) != served)
			continue;
		*entry &= ~IOAPIC_REMOTE_IRR;
		serve_level(io, pin);
	}
}

static void ioapic_eoi(void *dev, uint8_t vector)
{
	struct ioapic *io = dev;

	pthread_mutex_lock(&io->lock);
	end_of_interrupt(io, vector);
	pthread_mutex_unlock(&io->lock);
}

/*
 * Have KVM know the level-triggered entries, masked ones, too: the interrupt whose end it is to
 * tell may have been sent before the mask. Most changes are none to it, and most machines have no
 * such entry; the call may take milliseconds.
 */
static int update_routes(struct ioapic *io, struct err *err)
{
	uint64_t wanted[IRQ_PINS] = { 0 };
	struct msi pins[IRQ_PINS] = { 0 };
	int ret;

	for (uint32_t i = 0; i < IRQ_PINS; i++) {
		if (!(io->s.redirection[i] & IOAPIC_LEVEL))
			continue;
		wanted[i] = io->s.redirection[i] & MESSAGE;
		pins[i] = message(wanted[i]);
	}
	if (memcmp(wanted, io->routed, sizeof(wanted)) == 0)
		return 0;
	ret = msi_set_routes(io->dev.vm, pins, err);
	if (ret < 0)
		return ret;
	memcpy(io->routed, wanted, sizeof(wanted));
	io->route_updates++;
	return 0;
}

/* The entry that the selected register is a half of; IRQ_PINS: none. */
static uint32_t selected_pin(const struct ioapic *io)
{
	uint32_t at = io->s.select;

	return at < IOAPIC_REDIRECTION ? IRQ_PINS
				       : MIN((at - IOAPIC_REDIRECTION) / 2, IRQ_PINS);
}

/* An edge-triggered entry has no remote IRR: that is how a guest without the EOI register
 * clears it. */
static int write_entry(struct ioapic *io, uint32_t pin, uint32_t value)
{
	uint64_t *entry = &io->s.redirection[pin];
	uint64_t old = *entry, half = UINT32_MAX;
	uint32_t shift = io->s.select & 1 ? 32 : 0;
	int ret;

	*entry = ((old & ~(half << shift)) | (uint64_t)value << shift) & WRITABLE;
	if (*entry & IOAPIC_LEVEL)
		*entry |= old & IOAPIC_REMOTE_IRR;
	ret = update_routes(io, NULL);
	if (ret == 0)
		serve_level(io, pin);
	return ret;
}

static int write_window(struct ioapic *io, uint32_t value)
{
	uint32_t pin = selected_pin(io);

	if (pin < IRQ_PINS)
		return write_entry(io, pin, value);
	if (io->s.select == IOAPIC_ID)
		io->s.id = value >> ID_SHIFT & ID_MAX;
	return 0;
}

static uint32_t read_window(const struct ioapic *io)
{
	uint32_t pin = selected_pin(io);

	if (pin < IRQ_PINS)
		return (uint32_t)(io->s.redirection[pin] >> (io->s.select & 1 ? 32 : 0));
	switch (io->s.select) {
	case IOAPIC_ID:
	case IOAPIC_ARBITRATION:
		return (uint32_t)io->s.id << ID_SHIFT;
	case IOAPIC_VERSION:
		return VERSION;
	default:
		return 0;
	}
}

static int write_register(struct ioapic *io, uint64_t off, uint32_t value)
{
	switch (off) {
	case IOAPIC_SELECT:
		io->s.select = (uint8_t)value;
		return 0;
	case IOAPIC_WINDOW:
		return write_window(io, value);
	case IOAPIC_EOI:
		end_of_interrupt(io, (uint8_t)value);
		return 0;
	default:
		io->violations++;
		return 0;
	}
}

static uint32_t read_register(struct ioapic *io, uint64_t off)
{
	switch (off) {
	case IOAPIC_SELECT:
		return io->s.select;
	case IOAPIC_WINDOW:
		return read_window(io);
	default:
		io->violations++;
		return 0;
	}
}

static int on_access(void *dev, const struct bus_access *access)
{
	struct ioapic *io = dev;
	uint32_t value = 0;
	int ret = 0;

	pthread_mutex_lock(&io->lock);
	if (access->len != WINDOW_SIZE) {
		io->violations++;
	} else if (access->is_write) {
		memcpy(&value, access->data, sizeof(value));
		ret = write_register(io, access->off, value);
	} else {
		value = read_register(io, access->off);
		memcpy(access->data, &value, sizeof(value));
	}
	pthread_mutex_unlock(&io->lock);
	return ret;
}

static int ioapic_init(struct device *dev, const void *config, struct err *err)
{
	struct ioapic *io = ioapic_of(dev);
	const struct bus_range regs = {
		.base = BOARD_IOAPIC_GPA, .size = MEM_PAGE_SIZE, .handler = on_access, .dev = io
	};
	int ret = bus_add(&dev->vm->mmio, &regs, err);

	(void)config;
	if (ret < 0)
		return ret;
	pthread_mutex_init(&io->lock, NULL);
	io->s.id = BOARD_IOAPIC_ID;
	for (uint32_t i = 0; i < IRQ_PINS; i++)
		io->s.redirection[i] = IOAPIC_MASKED;
	dev->vm->irq_chip =
		(struct irq_chip){ .set = ioapic_set, .eoi = ioapic_eoi, .dev = io };
	return 0;
}

/*
 * The end of an interrupt may be in flight: told to KVM by the guest and not to us by KVM, which
 * does so when the vCPU enters the guest. Where ring 0 is emulated, a guest may stop before.
 */
static int ioapic_drain(struct device *dev, struct err *err)
{
	struct ioapic *io = ioapic_of(dev);
	int held = 1;

	for (uint32_t pin = 0; pin < IRQ_PINS && held >= 0; pin++) {
		uint8_t vector = (uint8_t)io->s.redirection[pin];

		if (!(io->s.redirection[pin] & IOAPIC_REMOTE_IRR))
			continue;
		held = msi_is_held(dev->vm, vector, err);
		if (held == 0)
			ioapic_eoi(io, vector);
	}
	return MIN(held, 0);
}

/* What the CPU is at, its local APIC knows: nothing is sent again. */
static int ioapic_load(struct device *dev, struct err *err)
{
	return update_routes(ioapic_of(dev), err);
}

static void ioapic_fini(struct device *dev)
{
	const struct ioapic *io = ioapic_of(dev);

	log_debug("%" PRIu64 " interrupts, %" PRIu64 " refused, %" PRIu64 " coalesced, %" PRIu64
		  " EOIs, %" PRIu64 " updates of routes, %" PRIu64 " violations",
		  io->delivered, io->refused, io->coalesced, io->eois, io->route_updates,
		  io->violations);
}

static int ioapic_check(const void *state, struct err *err)
{
	const struct ioapic_state *s = state;

	for (uint32_t i = 0; i < IRQ_PINS; i++) {
		uint64_t entry = s->redirection[i];
		uint64_t legal = WRITABLE | (entry & IOAPIC_LEVEL ? IOAPIC_REMOTE_IRR : 0);

		if (entry & ~legal)
			return err_set(err, ERANGE,
				       "dev.ioapic.redirection[%u] is 0x%" PRIx64
				       ", allowed are bits of 0x%" PRIx64,
				       i, entry, legal);
	}
	return 0;
}

static const struct device_counter counters[] = {
	{ "delivered", offsetof(struct ioapic, delivered) },
	{ "refused", offsetof(struct ioapic, refused) },
	{ "coalesced", offsetof(struct ioapic, coalesced) },
	{ "eois", offsetof(struct ioapic, eois) },
	{ "route_updates", offsetof(struct ioapic, route_updates) },
	{ "violations", offsetof(struct ioapic, violations) },
	{ 0 },
};

const struct device_type ioapic_type = {
	.name = "ioapic",
	.size = sizeof(struct ioapic),
	.state_off = offsetof(struct ioapic, s),
	.state = STATE_DESC("dev.ioapic", 1, struct ioapic_state, ioapic_fields),
	.state.check = ioapic_check,
	.init = ioapic_init,
	.drain = ioapic_drain,
	.load = ioapic_load,
	.fini = ioapic_fini,
	.counters = counters,
};

uint8_t ioapic_vector(const struct vm *vm, uint32_t pin)
{
	struct device *dev = vm_device(vm, &ioapic_type);
	struct ioapic *io = dev ? ioapic_of(dev) : NULL;
	uint64_t entry;

	if (!io)
		return 0;
	pthread_mutex_lock(&io->lock);
	entry = io->s.redirection[pin];
	pthread_mutex_unlock(&io->lock);
	return entry & IOAPIC_MASKED ? 0 : (uint8_t)(entry & IOAPIC_VECTOR);
}
