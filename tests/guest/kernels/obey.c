/* SPDX-License-Identifier: Apache-2.0 */
/*
 * obey.c - a kernel of its own, in place of kindling: it waits at the mailbox for orders, and
 * does to the VMM what a guest of good or bad will might do (obey.h).
 */
#include "tests/guest/kernels/kernel.h"
#include "tests/guest/kernels/obey.h"

static volatile uint8_t *const reply =
	(volatile uint8_t *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);

static uint64_t read_at(uint64_t addr, uint32_t size)
{
	switch (size) {
	case 1:
		return *(volatile uint8_t *)addr;
	case 2:
		return *(volatile uint16_t *)addr;
	case 4:
		return *(volatile uint32_t *)addr;
	default:
		return *(volatile uint64_t *)addr;
	}
}

static void write_at(uint64_t addr, uint32_t size, uint64_t value)
{
	switch (size) {
	case 1:
		*(volatile uint8_t *)addr = (uint8_t)value;
		break;
	case 2:
		*(volatile uint16_t *)addr = (uint16_t)value;
		break;
	case 4:
		*(volatile uint32_t *)addr = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)addr = value;
	}
}

/* With an empty interrupt table the first exception is the third. */
static void fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none;

	__asm__ volatile("lidt %0\n\tud2" : : "m"(none));
}

static void out(uint16_t port, uint64_t count)
{
	static const char digits[] = "0123456789";
	const char *from = digits;

	__asm__ volatile("cld\n\trep outsb" : "+S"(from), "+c"(count) : "d"(port) : "memory");
}

static void ring_log(uint64_t size, uint32_t stream)
{
	*(volatile uint64_t *)&MAILBOX->log_size = size;
	*(volatile uint32_t *)&MAILBOX->log_stream = stream;
	ring(ABI_DOORBELL_LOG);
}

/* Byte by byte, as everything here: ring 0 may be emulated, without vector instructions. */
static uint64_t tell(void)
{
	const volatile uint8_t *window = (const volatile uint8_t *)MAILBOX;

	for (uint64_t i = 0; i < sizeof(*MAILBOX); i++)
		reply[i] = window[i];
	return sizeof(*MAILBOX);
}

/* Returns the size of the reply. */
static uint64_t obey(const struct order *o)
{
	switch ((enum order_what)o->what) {
	case ORDER_SPIN:
		for (;;)
			__asm__ volatile("");
	case ORDER_FAULT:
		fault();
		return 0;
	case ORDER_READ:
		write_at((uint64_t)reply, 8, read_at(o->addr, o->size));
		return 8;
	case ORDER_WRITE:
		write_at(o->addr, o->size, o->value);
		return 0;
	case ORDER_OUT:
		out((uint16_t)o->addr, o->size);
		return 0;
	case ORDER_LOG:
		ring_log(o->value, (uint32_t)o->addr);
		return 0;
	case ORDER_REPLY:
		return o->value;
	case ORDER_TELL:
		return tell();
	}
	return 0;
}

void kernel_main(const struct abi_boot_info *info)
{
	uint64_t size = 0;

	(void)info;
	map_mailbox();
	for (;;) {
		next(size);
		size = obey((const struct order *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA +
							      ABI_WINDOW_EVENT));
	}
}
