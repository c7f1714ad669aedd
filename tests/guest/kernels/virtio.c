/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio.c - a kernel of its own, in place of kindling: the driver of an entropy device at the
 * board's first place, whose interrupt comes by the IOAPIC.
 *
 * Before its first wait it makes a request available and does not notify, as if the machine had been frozen
 * just then: who thaws it has to look. With each event it waits for that one, makes VIRTIO_REQUESTS
 * others, one at a time, and replies a struct virtio_report.
 */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "devices/board.h"
#include "tests/guest/kernels/kernel.h"
#include "tests/guest/kernels/interrupts.h"
#include "tests/guest/kernels/virtio.h"

#define RING_SIZE 8u /* entries of the queue */
#include "tests/guest/kernels/ring.h"

static uint8_t buffer[VIRTIO_BYTES];
static struct virtio_report report;
static volatile uint64_t interrupts;

void on_interrupt(uint64_t number)
{
	(void)number;
	interrupts++;
	*reg(VIRTIO_MMIO_INTERRUPT_ACK) = *reg(VIRTIO_MMIO_INTERRUPT_STATUS);
	apic_write(APIC_EOI, 0);
}

/* Edges of the device's GSI come as FIRST_VECTOR (82093AA, 3.2.4). */
static void route(void)
{
	volatile uint32_t *io = (volatile uint32_t *)(uintptr_t)BOARD_IOAPIC_GPA;

	io[0] = 0x11 + 2 * BOARD_VIRTIO_GSI;
	io[4] = 0; /* to APIC 0 */
	io[0] = 0x10 + 2 * BOARD_VIRTIO_GSI;
	io[4] = FIRST_VECTOR;
}

/* All features that are offered. */
static void negotiate(void)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	*reg(VIRTIO_MMIO_STATUS) = 0;
	*reg(VIRTIO_MMIO_STATUS) = status;
	for (uint32_t half = 0; half < 2; half++) {
		*reg(VIRTIO_MMIO_DEVICE_FEATURES_SEL) = half;
		*reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = half;
		*reg(VIRTIO_MMIO_DRIVER_FEATURES) = *reg(VIRTIO_MMIO_DEVICE_FEATURES);
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	*reg(VIRTIO_MMIO_STATUS) = status;
	*reg(VIRTIO_MMIO_QUEUE_SEL) = 0;
	*reg(VIRTIO_MMIO_QUEUE_NUM) = RING_SIZE;
	*reg(VIRTIO_MMIO_QUEUE_DESC_LOW) = (uint32_t)(uintptr_t)desc;
	*reg(VIRTIO_MMIO_QUEUE_AVAIL_LOW) = (uint32_t)(uintptr_t)&avail;
	*reg(VIRTIO_MMIO_QUEUE_USED_LOW) = (uint32_t)(uintptr_t)&used;
	*reg(VIRTIO_MMIO_QUEUE_READY) = 1;
	*reg(VIRTIO_MMIO_STATUS) = status | VIRTIO_CONFIG_S_DRIVER_OK;
}

static void offer(void)
{
	desc[0] = (struct vring_desc){ (uint64_t)(uintptr_t)buffer, VIRTIO_BYTES,
				       VRING_DESC_F_WRITE, 0 };
	avail.ring[avail.idx % RING_SIZE] = 0;
	avail.used_event = avail.idx; /* an interrupt, please */
	__asm__ volatile("" : : : "memory");
	*(volatile uint16_t *)&avail.idx += 1;
}

static void wait(void)
{
	while (*(volatile uint16_t *)&used.idx != avail.idx)
		wait_for_interrupt();
	report.served++;
}

static void keep(uint8_t *bytes)
{
	for (uint32_t i = 0; i < VIRTIO_BYTES; i++)
		bytes[i] = buffer[i];
}

static void answer_event(void)
{
	struct virtio_report *reply =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);
	uint64_t began = tsc();

	report.served = 0;
	wait();
	keep(report.first);
	for (uint32_t i = 0; i < VIRTIO_REQUESTS; i++) {
		offer();
		*reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
		wait();
	}
	keep(report.last);
	report.ticks = tsc() - began;
	/* Some came back before anybody waited for them. */
	__asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
	report.status = *reg(VIRTIO_MMIO_STATUS);
	report.interrupts = interrupts;
	*reply = report;
	offer(); /* for the next one */
}

void kernel_main(const struct abi_boot_info *info)
{
	(void)info;
	map_mailbox();
	set_tables();
	apic_enable(1);
	route();
	negotiate();
	offer();
	next(0);
	for (;;) {
		answer_event();
		next(sizeof(report));
	}
}
