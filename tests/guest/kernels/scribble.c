/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribble.c - a kernel of its own, in place of kindling, that is an enemy of the board's devices: it writes
 * whatever it likes to registers, ports, rings and tables, and between that does what a driver does, so that it
 * gets far. An event is the seed, 8 bytes; the reply is how many steps it made, 8 bytes.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/board.h"
#include "tests/guest/kernels/kernel.h"

#define STEPS	  100u
#define DEVICES	  3u	    /* places of the board, the last may be empty */
#define RINGS_GPA 0x800000u /* 16 pages: nothing else is there */
#define RINGS	  0x10000u

static uint64_t state;

/* xorshift64*: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static uint64_t rnd(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * UINT64_C(2685821657736338717);
}

static uint32_t below(uint32_t n)
{
	return (uint32_t)(rnd() >> 32) % n;
}

/* Small as a rule, sometimes anything. */
static uint64_t value(void)
{
	return below(4) ? below(16) : rnd();
}

static uint64_t place(void)
{
	return BOARD_VIRTIO_GPA + below(DEVICES) * BOARD_VIRTIO_SIZE;
}

static void write_reg(uint64_t base, uint32_t off, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)(base + off) = v;
}

static uint32_t read_reg(uint64_t base, uint32_t off)
{
	return *(volatile uint32_t *)(uintptr_t)(base + off);
}

static void touch(uint64_t gpa, uint32_t width, int is_write)
{
	volatile void *at = (volatile void *)(uintptr_t)gpa;
	uint64_t v = value();

	switch (width) {
	case 0:
		*(volatile uint8_t *)at = is_write ? (uint8_t)v : *(volatile uint8_t *)at;
		return;
	case 1:
		*(volatile uint16_t *)at = is_write ? (uint16_t)v : *(volatile uint16_t *)at;
		return;
	case 2:
		*(volatile uint32_t *)at = is_write ? (uint32_t)v : *(volatile uint32_t *)at;
		return;
	default:
		*(volatile uint64_t *)at = is_write ? v : *(volatile uint64_t *)at;
	}
}

/* Most of what is there lies at the beginning of a page. */
static void any_register(void)
{
	uint64_t base = below(8) ? place() : BOARD_IOAPIC_GPA;
	uint32_t off = below(8) ? below(0x48) * 4 : below(0xff8);

	touch(base + off, below(4) ? 2 : below(4), below(4) != 0);
}

static void any_port(void)
{
	static const uint16_t ports[] = { BOARD_SERIAL_PORT, BOARD_RTC_PORT, BOARD_I8042_DATA };
	uint16_t port = (uint16_t)(ports[below(3)] + below(2));

	if (port < BOARD_I8042_CMD && port > BOARD_I8042_DATA)
		return;
	if (port >= BOARD_SERIAL_PORT)
		port = (uint16_t)(port + below(7));
	if (below(2))
		__asm__ volatile("outb %%al, %%dx" : : "a"((uint8_t)rnd()), "d"(port));
	else
		__asm__ volatile("inb %%dx, %%al" : : "a"(0), "d"(port));
}

static uint64_t ring_at(uint32_t queue, uint32_t part)
{
	return RINGS_GPA + (queue * 4 + part) * 0x1000u;
}

/* As it should be, but for a bit now and then. */
static uint64_t bent(uint64_t v)
{
	return below(64) ? v : v ^ UINT64_C(1) << below(64);
}

static void set_queue(uint64_t base, uint32_t queue)
{
	static const uint32_t regs[] = { VIRTIO_MMIO_QUEUE_DESC_LOW,
					 VIRTIO_MMIO_QUEUE_AVAIL_LOW,
					 VIRTIO_MMIO_QUEUE_USED_LOW };

	write_reg(base, VIRTIO_MMIO_QUEUE_SEL, queue);
	write_reg(base, VIRTIO_MMIO_QUEUE_NUM, (uint32_t)bent(UINT64_C(1) << below(7)));
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t gpa = bent(ring_at(queue, i));

		write_reg(base, regs[i], (uint32_t)gpa);
		write_reg(base, regs[i] + 4, (uint32_t)(gpa >> 32));
	}
	write_reg(base, VIRTIO_MMIO_QUEUE_READY, 1);
}

static void start(void)
{
	uint64_t base = place();
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	write_reg(base, VIRTIO_MMIO_STATUS, 0);
	write_reg(base, VIRTIO_MMIO_STATUS, status);
	for (uint32_t half = 0; half < 2; half++) {
		write_reg(base, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
		write_reg(base, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		write_reg(base, VIRTIO_MMIO_DRIVER_FEATURES,
			  (uint32_t)bent(read_reg(base, VIRTIO_MMIO_DEVICE_FEATURES)));
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	write_reg(base, VIRTIO_MMIO_STATUS, status);
	for (uint32_t i = 0; i < 2; i++)
		set_queue(base, i);
	write_reg(base, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* A few entries that may be a chain, and one of them made available. */
static void offer(void)
{
	uint32_t queue = below(2);
	volatile struct vring_desc *desc = (void *)(uintptr_t)ring_at(queue, 0);
	volatile uint16_t *avail = (void *)(uintptr_t)ring_at(queue, 1);
	uint32_t head = below(8);

	for (uint32_t i = 0; i < 4; i++) {
		desc[head + i].addr = bent(RINGS_GPA + RINGS + below(RINGS));
		desc[head + i].len = (uint32_t)bent(below(0x2000));
		desc[head + i].flags = (uint16_t)below(8);
		desc[head + i].next = (uint16_t)(head + i + 1);
	}
	avail[2 + avail[1] % 64] = (uint16_t)head;
	avail[1] = (uint16_t)(avail[1] + 1);
}

static void any_ring(void)
{
	volatile uint8_t *rings = (void *)(uintptr_t)RINGS_GPA;

	for (uint32_t i = below(16); i > 0; i--)
		rings[below(8) * 0x1000 + below(0x400)] = (uint8_t)rnd();
}

static void notify(void)
{
	write_reg(place(), VIRTIO_MMIO_QUEUE_NOTIFY, below(3));
}

static void (*const steps[])(void) = { any_register, any_port, start,  offer,
				       offer,	     any_ring, notify, notify };

void kernel_main(const struct abi_boot_info *info)
{
	volatile uint64_t *event =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT);
	volatile uint64_t *reply =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);

	(void)info;
	map_mailbox();
	next(0);
	for (;;) {
		uint64_t n = 0;

		state = *event | 1;
		while (n < STEPS) {
			steps[below(sizeof(steps) / sizeof(steps[0]))]();
			n++;
		}
		*reply = n;
		next(sizeof(*reply));
	}
}
