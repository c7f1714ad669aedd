/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scribble.c - a kernel of its own, in place of kindling, that is an enemy of the board's devices: it writes
 * whatever it likes to registers, ports, rings and tables, and between that does what a driver does, so that it
 * gets far. An event is the seed, 8 bytes; the reply is how many steps it made, 8 bytes. The machine has two
 * disks, an entropy device and a console, in this order.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "devices/board.h"
#include "tests/guest/kernels/kernel.h"
#include "tests/guest/kernels/ring3.h"

#define STEPS	    400u
#define DISKS	    2u
#define DEVICES	    5u	      /* places of the board, the last is empty */
#define SECTORS	    0x4000u   /* of each disk */
#define RINGS_GPA   0x800000u /* nothing else is there: 8 pages for each device, */
#define RINGS	    0x28000u
#define TABLE_GPA   0x828000u /* an indirect table, */
#define BUFFERS_GPA 0x830000u /* and what descriptors point to */
#define BUFFERS	    0x100000u
#define APIC_SIVR   0xf0u    /* SDM vol. 3A, table 11-1 */
#define SMI_GPA	    0x38000u /* SDM vol. 3C, 32.3.1: where a system management interrupt begins */

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

/* As it should be, but for a bit now and then. */
static uint64_t bent(uint64_t v)
{
	return below(64) ? v : v ^ UINT64_C(1) << below(64);
}

static uint64_t place(uint32_t device)
{
	return BOARD_VIRTIO_GPA + device * BOARD_VIRTIO_SIZE;
}

static void write_reg(uint64_t base, uint32_t off, uint32_t v)
{
	*(volatile uint32_t *)(uintptr_t)(base + off) = v;
}

static uint32_t read_reg(uint64_t base, uint32_t off)
{
	return *(volatile uint32_t *)(uintptr_t)(base + off);
}

/* ---- registers and ports ---- */

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

/* Most of what is there lies at the beginning of a page. A reset may be among it. */
static void any_register(void)
{
	static const uint64_t others[] = { BOARD_IOAPIC_GPA, BOARD_GED_GPA, BOARD_LAPIC_GPA,
					   BOARD_VMCLOCK_GPA };
	uint64_t base = below(16) ? place(below(DEVICES)) : others[below(4)];
	uint32_t off = below(8) ? below(0x48) * 4 : below(0xff8);

	touch(base + off, below(4) ? 2 : below(4), below(4) != 0);
}

/* Entries of all modes and both triggers; a masked one more often than not, which harms nobody. */
static void any_pin(void)
{
	uint32_t entry = (uint32_t)rnd() & 0xa8ffu;

	if (below(4) == 0)
		entry |= (uint32_t)rnd() & 0x700u;
	write_reg(BOARD_IOAPIC_GPA, 0, 0x10 + below(48));
	write_reg(BOARD_IOAPIC_GPA, 0x10, below(2) ? entry : entry | 0x10000u);
	write_reg(BOARD_IOAPIC_GPA, 0x40, below(256));
}

static uint16_t any_port(void)
{
	switch (below(8)) {
	case 0:
		return (uint16_t)(BOARD_RTC_PORT + below(2));
	case 1:
		return below(2) ? BOARD_I8042_DATA : BOARD_I8042_CMD;
	default:
		return (uint16_t)(BOARD_SERIAL_PORT + below(8));
	}
}

static void in_or_out(void)
{
	uint16_t port = any_port();
	uint8_t byte = (uint8_t)rnd();

	/* Of what resets the machine, one in 64. */
	if (port == BOARD_I8042_CMD && byte >= 0xf0 && below(64))
		byte = 0;
	if (below(2))
		__asm__ volatile("outb %%al, %%dx" : : "a"(byte), "d"(port));
	else
		__asm__ volatile("inb %%dx, %%al" : "+a"(byte) : "d"(port));
}

static void wide_port(void)
{
	uint16_t port = any_port();
	uint32_t bytes = (uint32_t)rnd();

	if (below(2))
		__asm__ volatile("outl %%eax, %%dx" : : "a"(bytes), "d"(port));
	else
		__asm__ volatile("inw %%dx, %%ax" : "+a"(bytes) : "d"(port));
}

/* What the log area holds goes out. */
static void say(void)
{
	*(volatile uint32_t *)&MAILBOX->log_stream = (uint32_t)value();
	*(volatile uint64_t *)&MAILBOX->log_size = below(8) ? below(64) : value();
	ring(ABI_DOORBELL_LOG);
}

/* ---- drivers ---- */

static uint64_t ring_at(uint32_t device, uint32_t queue, uint32_t part)
{
	return RINGS_GPA + ((device * 2 + queue) * 4 + part) * 0x1000u;
}

static void set_queue(uint32_t device, uint32_t queue)
{
	static const uint32_t regs[] = { VIRTIO_MMIO_QUEUE_DESC_LOW,
					 VIRTIO_MMIO_QUEUE_AVAIL_LOW,
					 VIRTIO_MMIO_QUEUE_USED_LOW };
	uint64_t base = place(device);

	write_reg(base, VIRTIO_MMIO_QUEUE_SEL, queue);
	write_reg(base, VIRTIO_MMIO_QUEUE_NUM, (uint32_t)bent(UINT64_C(1) << below(7)));
	for (uint32_t i = 0; i < 3; i++) {
		uint64_t gpa = bent(ring_at(device, queue, i));

		write_reg(base, regs[i], (uint32_t)gpa);
		write_reg(base, regs[i] + 4, (uint32_t)(gpa >> 32));
	}
	write_reg(base, VIRTIO_MMIO_QUEUE_READY, 1);
}

/* Rings as at a start, or as they were left. */
static void clear_rings(uint32_t device)
{
	volatile uint64_t *at = (void *)(uintptr_t)ring_at(device, 0, 0);

	for (uint32_t part = 1; part < 8; part++)
		at[part * 512] = 0;
}

static void start(void)
{
	uint32_t device = below(DEVICES - 1);
	uint64_t base = place(device);
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	write_reg(base, VIRTIO_MMIO_STATUS, 0);
	if (below(4))
		clear_rings(device);
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
		set_queue(device, i);
	write_reg(base, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static volatile struct vring_desc *desc_at(uint32_t device, uint32_t queue, uint32_t i)
{
	return (volatile struct vring_desc *)(uintptr_t)ring_at(device, queue, 0) + i;
}

static void make_available(uint32_t device, uint32_t queue, uint32_t head)
{
	volatile uint16_t *avail = (void *)(uintptr_t)ring_at(device, queue, 1);

	/* The queue has 64 entries or fewer: wherever it looks, this is what it finds. */
	for (uint32_t i = 1; i <= 64; i *= 2)
		avail[2 + avail[1] % i] = (uint16_t)head;
	avail[1] = (uint16_t)(avail[1] + 1);
}

static void set_desc(volatile struct vring_desc *d, uint64_t addr, uint64_t len, uint32_t flags)
{
	d->addr = bent(addr);
	d->len = (uint32_t)bent(len);
	d->flags = (uint16_t)bent(flags);
}

/* A few entries that may be a chain, and one of them made available. */
static void offer(void)
{
	uint32_t device = below(DEVICES - 1), queue = below(2), head = below(8);

	for (uint32_t i = 0; i < 4; i++) {
		volatile struct vring_desc *d = desc_at(device, queue, head + i);

		set_desc(d, BUFFERS_GPA + below(BUFFERS), below(0x2000), below(8));
		d->next = (uint16_t)(head + i + 1);
	}
	make_available(device, queue, head);
}

/* Bytes of a disk's request: header, and a range for those that take one. */
static uint32_t make_request(uint64_t at, uint64_t data)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN,     VIRTIO_BLK_T_OUT,
					  VIRTIO_BLK_T_FLUSH,  VIRTIO_BLK_T_DISCARD,
					  VIRTIO_BLK_T_GET_ID, VIRTIO_BLK_T_WRITE_ZEROES,
					  VIRTIO_BLK_T_OUT,    VIRTIO_BLK_T_IN };
	volatile struct virtio_blk_outhdr *header = (void *)(uintptr_t)at;
	volatile struct virtio_blk_discard_write_zeroes *range = (void *)(uintptr_t)data;

	header->type = (uint32_t)bent(types[below(8)]);
	header->sector = bent(below(SECTORS));
	range->sector = bent(below(SECTORS));
	range->num_sectors = (uint32_t)bent(below(512));
	range->flags = (uint32_t)bent(0);
	return header->type;
}

/* A disk's request as it has to be, but for bits that are not; in the queue's table or in one beside it. */
static void ask_disk(void)
{
	uint32_t device = below(DISKS), head = below(8) * 4, type;
	uint64_t at = BUFFERS_GPA + head * 0x40, data = BUFFERS_GPA + (1 + below(64)) * 0x1000;
	volatile struct vring_desc *d =
		below(4) ? desc_at(device, 0, head) : (void *)(uintptr_t)TABLE_GPA;
	uint32_t first = d == desc_at(device, 0, head) ? head : 0;

	type = make_request(at, data);
	set_desc(&d[0], at, 16, VRING_DESC_F_NEXT);
	set_desc(&d[1], data, type < VIRTIO_BLK_T_DISCARD ? below(64) * 512 : 16,
		 VRING_DESC_F_NEXT | (type & VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE));
	set_desc(&d[2], at + 0x20, 1, VRING_DESC_F_WRITE);
	for (uint32_t i = 0; i < 3; i++)
		d[i].next = (uint16_t)(first + i + 1);
	if (d != desc_at(device, 0, head))
		set_desc(desc_at(device, 0, head), TABLE_GPA, 48, VRING_DESC_F_INDIRECT);
	make_available(device, 0, head);
	if (below(2))
		write_reg(place(device), VIRTIO_MMIO_QUEUE_NOTIFY, 0);
}

static void any_ring(void)
{
	volatile uint8_t *rings = (void *)(uintptr_t)RINGS_GPA;

	for (uint32_t i = below(16); i > 0; i--)
		rings[below(RINGS / 0x1000) * 0x1000 + below(0x400)] = (uint8_t)rnd();
}

static void notify(void)
{
	write_reg(place(below(DEVICES)), VIRTIO_MMIO_QUEUE_NOTIFY, below(3));
}

static void (*const steps[])(void) = { any_register, any_pin,  in_or_out, wide_port,
				       say,	     start,    offer,	  offer,
				       any_ring,     ask_disk, ask_disk,  ask_disk,
				       ask_disk,     notify,   notify,	  notify };

static void ring3_main(void)
{
	volatile uint64_t *event =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT);
	volatile uint64_t *reply =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);

	write_reg(BOARD_LAPIC_GPA, APIC_SIVR, 0x1ff); /* on; what it takes waits for ever */
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

void kernel_main(const struct abi_boot_info *info)
{
	(void)info;
	map_mailbox();
	*(volatile uint16_t *)(uintptr_t)SMI_GPA = 0xaa0f; /* rsm: it was nothing */
	open_pages();
	enter_ring3(ring3_main);
}
