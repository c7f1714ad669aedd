/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blk.c - a kernel of its own, in place of kindling: the driver of a disk at the board's first place, who
 * keeps requests of 128 KiB in flight and looks for results himself, without interrupts. All but its
 * beginning runs in ring 3, which every KVM lets run by itself.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#include "devices/board.h"
#include "tests/guest/kernels/blk.h"
#include "tests/guest/kernels/kernel.h"
#include "tests/guest/kernels/ring3.h"

#define RING_SIZE 64u /* entries of the queue: three for each request */
#include "tests/guest/kernels/ring.h"

#define BUFFERS 0x1000000u

static struct {
	struct virtio_blk_outhdr header;
	volatile uint8_t status;
	uint32_t number; /* of the request that is there */
} slots[BLK_DEPTH];

static struct blk_report report;
static uint16_t seen; /* of used */

static uint64_t *buffer(uint32_t slot)
{
	return (uint64_t *)(uintptr_t)(BUFFERS + slot * BLK_REQUEST);
}

/* No discards and the like; event index, so that nobody is told what he sees. */
static void negotiate(void)
{
	const uint32_t low = 1u << VIRTIO_BLK_F_FLUSH | 1u << VIRTIO_RING_F_EVENT_IDX;
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	*reg(VIRTIO_MMIO_STATUS) = 0;
	*reg(VIRTIO_MMIO_STATUS) = status;
	*reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 0;
	*reg(VIRTIO_MMIO_DRIVER_FEATURES) = low;
	*reg(VIRTIO_MMIO_DRIVER_FEATURES_SEL) = 1;
	*reg(VIRTIO_MMIO_DRIVER_FEATURES) = 1u << (VIRTIO_F_VERSION_1 - 32);
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

/* Entries of a slot's chain never change: header, data, status. */
static void make_chain(uint32_t slot, uint16_t data_flags)
{
	struct vring_desc *d = &desc[3 * slot];
	uint16_t first = (uint16_t)(3 * slot);

	d[0] = (struct vring_desc){ (uint64_t)(uintptr_t)&slots[slot].header,
				    sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT,
				    (uint16_t)(first + 1) };
	d[1] = (struct vring_desc){ (uint64_t)(uintptr_t)buffer(slot), BLK_REQUEST,
				    (uint16_t)(data_flags | VRING_DESC_F_NEXT),
				    (uint16_t)(first + 2) };
	d[2] = (struct vring_desc){ (uint64_t)(uintptr_t)&slots[slot].status, 1,
				    VRING_DESC_F_WRITE, 0 };
}

static uint64_t word(const struct blk_order *o, uint32_t number, uint32_t i)
{
	return o->seed * 0x9e3779b97f4a7c15u + number * 0x100000001b3u + i;
}

static void fill(const struct blk_order *o, uint32_t slot)
{
	for (uint32_t i = 0; i < BLK_REQUEST / 8; i++)
		buffer(slot)[i] = word(o, slots[slot].number, i);
}

static int is_right(const struct blk_order *o, uint32_t slot)
{
	for (uint32_t i = 0; i < BLK_REQUEST / 8; i++) {
		if (buffer(slot)[i] != word(o, slots[slot].number, i))
			return 0;
	}
	return 1;
}

static int is_write(const struct blk_order *o)
{
	return o->what == BLK_FILL || o->what == BLK_BEGIN;
}

static void offer(const struct blk_order *o, uint32_t slot, uint32_t number)
{
	const uint64_t requests = report.sectors / (BLK_REQUEST / 512);

	slots[slot].number = number;
	slots[slot].status = 0xff;
	slots[slot].header = (struct virtio_blk_outhdr){
		.type = is_write(o) ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = number % requests * (BLK_REQUEST / 512),
	};
	if (is_write(o))
		fill(o, slot);
	avail.ring[avail.idx % RING_SIZE] = (uint16_t)(3 * slot);
	__asm__ volatile("" : : : "memory");
	*(volatile uint16_t *)&avail.idx += 1;
}

static void notify(uint16_t old)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vring_need_event(*(volatile uint16_t *)&used.avail_event, avail.idx, old))
		return;
	*reg(VIRTIO_MMIO_QUEUE_NOTIFY) = 0;
	report.notified++;
}

/* The slot of the next result. */
static uint32_t take(const struct blk_order *o)
{
	uint32_t slot;

	while (*(volatile uint16_t *)&used.idx == seen)
		__asm__ volatile("pause" : : : "memory");
	slot = *(volatile uint32_t *)&used.ring[seen++ % RING_SIZE].id / 3;
	/* Far from now: no interrupt for any result that there will be. */
	avail.used_event = (uint16_t)(seen + 0x4000);
	report.failed += slots[slot].status != VIRTIO_BLK_S_OK;
	report.wrong += o->what == BLK_CHECK && !is_right(o, slot);
	return slot;
}

/* As many as there are slots. Returns how many. */
static uint32_t begin(const struct blk_order *o)
{
	uint16_t old = avail.idx;
	uint32_t begun = 0;

	for (uint32_t slot = 0; slot < BLK_DEPTH; slot++) {
		make_chain(slot, is_write(o) ? 0 : VRING_DESC_F_WRITE);
		if (begun < o->n)
			offer(o, slot, begun++);
	}
	notify(old);
	return begun;
}

static void obey(const struct blk_order *o)
{
	uint32_t begun = o->what == BLK_END ? o->n : begin(o);
	uint32_t done = o->what == BLK_BEGIN ? o->n : 0;

	while (done < o->n) {
		uint16_t old = avail.idx;

		do {
			uint32_t slot = take(o);

			done++;
			if (begun < o->n)
				offer(o, slot, begun++);
		} while (*(volatile uint16_t *)&used.idx != seen);
		notify(old);
	}
}

static void answer_event(void)
{
	const struct blk_order *event =
		(const void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_EVENT);
	struct blk_report *reply =
		(void *)(uintptr_t)(ABI_MAILBOX_WINDOW_GPA + ABI_WINDOW_REPLY);
	struct blk_order order = *event;
	uint64_t began = tsc();

	report.failed = report.wrong = report.notified = 0;
	report.sectors = *reg(VIRTIO_MMIO_CONFIG);
	obey(&order);
	report.ticks = tsc() - began;
	report.status = *reg(VIRTIO_MMIO_STATUS);
	*reply = report;
}

static void ring3_main(void)
{
	avail.used_event = 0x4000;
	negotiate();
	next(0);
	for (;;) {
		answer_event();
		next(sizeof(report));
	}
}

void kernel_main(const struct abi_boot_info *info)
{
	(void)info;
	map_mailbox();
	open_pages();
	enter_ring3(ring3_main);
}
